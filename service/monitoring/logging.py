"""The operator's log: one event a line, as text or as JSON.

A line holds no fields but ``FIELDS``. None of them can hold samples, predictions, a person's name
or notes, or a token.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from mimamba.service.monitoring.limited_handler import LimitedHandler

LogFormat: TypeAlias = Literal["text", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

FIELDS = (
    "session",
    "client",
    "peer",
    "recording",
    "rule",
    "study",
    "feedback",
    "shard",
    "model",
    "worker",
    "address",
    "source",
    "file",
    "code",
    "count",
    "repeats",
    "reason",
)
"""Fields of an event, given as ``extra``; ``repeats`` comes from the handler."""
SUBJECTS = tuple(each for each in FIELDS if each not in ("client", "count", "repeats", "reason"))
"""Fields that say what an event is about: a client that comes again has another id."""
OFTEN = frozenset(
    {
        "link lost",
        "samples refused",
        "client erred",
        "client does not read",
        "a rule could not act",
        "a message was refused",
        "entries are missing",
        "bus",
        "Invalid HTTP request received.",  # these are uvicorn's
        "Unsupported upgrade request.",
        "Exceeded concurrency limit.",
    }
)
"""Events that a device, a client or a lost bus can cause many times a second."""

log = logging.getLogger(__name__)


@contextmanager
def configure_logging(form: LogFormat, level: LogLevel | None) -> Iterator[None]:
    """Log every event of this process to stderr, also of its libraries and of threads that die.

    What a device or a client can cause again and again is written once in ten seconds, with the
    number of repetitions.

    Parameters
    ----------
    form
        Text for people, JSON for programs.
    level
        The lowest level logged. None means ``info`` for JSON and ``warning`` for text, as a
        terminal shows the rest in another way.
    """
    least = (level or ("info" if form == "json" else "warning")).upper()
    stream = LimitedHandler(sys.stderr, OFTEN, SUBJECTS)
    stream.setFormatter(JSONLine() if form == "json" else TextLine())
    stream.setLevel(least)  # of all events, also of loggers that have a level of their own
    root, hook = logging.getLogger(), threading.excepthook
    before = root.level
    root.addHandler(stream)
    root.setLevel(least)
    logging.captureWarnings(True)
    threading.excepthook = log_thread_death
    try:
        yield
    finally:
        threading.excepthook = hook
        logging.captureWarnings(False)
        root.setLevel(before)
        root.removeHandler(stream)
        stream.close()


def log_thread_death(died: threading.ExceptHookArgs) -> None:
    """Log a thread that ended with an internal error; for ``threading.excepthook``."""
    if died.exc_value is not None:
        name = died.thread.name if died.thread else None
        error = (died.exc_type, died.exc_value, died.exc_traceback)
        log.error("a thread died", exc_info=error, extra={"worker": name})


class JSONLine(logging.Formatter):
    """An event as one JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write ``time`` (UTC), ``level``, ``logger``, ``event``, and the event's fields."""
        line = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **event_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLine(logging.Formatter):
    """An event as a line for people; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level and event, then the fields."""
        time = _time(record).astimezone().strftime("%H:%M:%S")
        pairs = [f"{name}={value}" for name, value in event_fields(record).items()]
        line = " ".join([time, record.levelname.lower(), record.getMessage(), *pairs])
        line = " ".join(line.splitlines())
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def event_fields(record: logging.LogRecord) -> dict[str, object]:
    """Return an event's fields, in the order of ``FIELDS``."""
    there = record.__dict__
    return {name: there[name] for name in FIELDS if there.get(name) is not None}


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
