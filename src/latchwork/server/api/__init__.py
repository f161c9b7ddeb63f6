"""JSON for machines, under `/api/v1`: parse, action, answer. Every no is an RFC 9457 problem."""
