"""Logs as Cloud Logging reads them: one JSON object a line, the event's name first.

No log line holds a prompt, an answer, a header or a key: code logs names, counts and ids only.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """`severity`, `message` (the event's name), `time`, `logger` and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        told = {k: v for k, v in record.__dict__.items() if k not in _OWN_FIELDS}
        line: dict[str, object] = {
            **told,
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[2]:
            # The frames without the message, which may quote what a caller sent.
            line["error"] = getattr(record.exc_info[0], "__name__", "")
            line["frames"] = traceback.format_tb(record.exc_info[2])
        return json.dumps(line, default=str)


def configure_logs(level: int = logging.INFO) -> None:
    """Send this project's logs to standard error. Calling it again changes nothing."""
    logger = logging.getLogger("common")
    if any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
