"""Logging: a constant message, and fields in ``extra``; a line for people or a JSON document.

Every record passes :func:`_fields`, which masks what is secret by its name, so that a careless
``extra`` cannot leak. Tracebacks quote no values (:mod:`.tracebacks`). What is not printable is replaced by something that is, so
that a value can neither move a terminal's cursor nor begin a line or a field of its own.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from .core.masking import masked
from .core.texts import clean, clean_json
from .tracebacks import told

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}
    return dict(masked(extra))


class ConsoleFormatter(logging.Formatter):
    """``14:02:11 INFO    Stack submitted  job=create:…  stack=port_…``"""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f"  {name}={_one(value)}" for name, value in _fields(record).items() if name != "event")
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:<7} {clean(record.getMessage())}{fields}"
        return f"{line}\n{_indented(_traceback(record))}" if record.exc_info else line


_SPACES = re.compile("  +")


def _one(value: object) -> str:
    """A field's value: it contains neither a line's end nor the two spaces that begin the next field."""
    return _SPACES.sub(" ", clean(str(value)))


def _indented(text: str) -> str:
    """So that no line of a traceback looks like one of the log."""
    return "    " + text.replace("\n", "\n    ")


def _traceback(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    return told(error) if error is not None else "no exception"


class JsonFormatter(logging.Formatter):
    """One JSON document a line: time, level, logger, message and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            document["exception"] = _traceback(record)
        return clean_json(json.dumps(document, default=str, ensure_ascii=False))


def configure(level: str, style: str) -> None:
    """Set up the root logger of this process.

    :param style: ``console`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        # "received" and "succeeded" for every task: what a step did, it says itself.
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level) if root.level > logging.DEBUG else root.level)
    for noisy in ("urllib3", "keystoneauth", "openstack", "stevedore", "kombu", "amqp", "heatclient"):
        # Their DEBUG lines print request bodies, in which secrets are not recognisable any more.
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
