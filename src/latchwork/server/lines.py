"""What the server's log looks like: a line for each message, for people, or as JSON for machines."""

import json
import logging
import time
from datetime import UTC, datetime

FORMATS = ("text", "json")


class Lines(logging.Formatter):
    """A line for each message, whatever others put into it, with its time in UTC."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library calls it so
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in super().formatMessage(record))


class JsonLines(logging.Formatter):
    """An object for each message; its fields stand in docs/reference/logs.md."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said)


def formatter(form: str) -> logging.Formatter:
    return JsonLines() if form == "json" else Lines("%(asctime)sZ %(name)s %(message)s")
