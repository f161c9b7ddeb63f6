"""The cloud: what banks, people and other systems talk to."""
