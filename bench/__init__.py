"""What the performance claims rest on: `python -m bench [NAME]`. README.md says what each figure means."""
