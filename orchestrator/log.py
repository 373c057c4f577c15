"""Logging: a constant message, and fields in ``extra``; a line for people or a JSON document.

Every record passes :func:`_fields`, which masks what is secret by its name, so that a careless
``extra`` cannot leak. Tracebacks quote no values (:mod:`.tracebacks`). What is not printable is
replaced by something that is, so that a value can neither move a terminal's cursor nor begin a line
or a field of its own.

With ``json`` every line of a process is a JSON document, from the first to the last: warnings of
Python's and exceptions that nobody catches included.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from .core.masking import masked
from .core.texts import clean, clean_json
from .errors import SettingsError
from .events import EventName, count
from .tracebacks import told

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and not name.startswith("_")
    }
    return dict(masked(extra))


class ConsoleFormatter(logging.Formatter):
    """``14:02:11 INFO    Stack submitted  job=create:…  stack=port_…``"""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(
            f"  {name}={_one(value)}"
            for name, value in _fields(record).items()
            if name != "event"
        )
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[
            :-3
        ]
        line = (
            f"{time} {record.levelname:<7} {clean(record.getMessage())}{fields}"
        )
        if record.exc_info:
            return f"{line}\n{_indented(_traceback(record))}"
        return line


_SPACES = re.compile("  +")


def _one(value: object) -> str:
    """A field's value: it contains neither a line's end nor the two spaces that begin the next
    field."""
    return _SPACES.sub(" ", clean(str(value)))


def _indented(text: str) -> str:
    """So that no line of a traceback looks like one of the log."""
    return "    " + text.replace("\n", "\n    ")


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1] is not None:
        return told(record.exc_info[1])
    return "no exception"


class JsonFormatter(logging.Formatter):
    """One JSON document a line: time, level, logger, message and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": (
                datetime.fromtimestamp(record.created, UTC).isoformat(
                    timespec="milliseconds"
                )
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            document["exception"] = _traceback(record)
        return clean_json(json.dumps(document, default=str, ensure_ascii=False))


def line(level: int, message: str, **fields: Any) -> str:
    """A JSON line by itself, for where no logger may be used: in a signal handler."""
    record = logging.LogRecord(
        "orchestrator", level, "", 0, message, None, None
    )
    vars(record).update(fields)
    return JsonFormatter().format(record)


def configure(level: str, style: str) -> None:
    """Set up the root logger of this process.

    :param style: ``console`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    formats = {"console": ConsoleFormatter, "json": JsonFormatter}
    handler.setFormatter(formats[style]())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    if style == "json":
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        # "received" and "succeeded" for every task: what a step did, it says itself.
        if root.level > logging.DEBUG:
            logging.getLogger(chatty).setLevel(_at_least_warning(root))
        else:
            logging.getLogger(chatty).setLevel(root.level)
    for noisy in (
        "urllib3",
        "keystoneauth",
        "openstack",
        "stevedore",
        "kombu",
        "amqp",
        "heatclient",
    ):
        # Their DEBUG lines print request bodies, in which secrets are not recognisable any more.
        logging.getLogger(noisy).setLevel(_at_least_warning(root))


def _at_least_warning(root: logging.Logger) -> int:
    return max(logging.WARNING, root.level)


def tell_refused(error: SettingsError) -> None:
    """Say why this process does not start, in the form that its log would have."""
    if error.log_format != "json":
        print(f"error: {error}", file=sys.stderr)
        return
    configure("INFO", "json")
    for fault in error.faults:
        variable, _, reason = fault.partition(": ")
        fields = {
            "event": "setting_refused",
            "variable": variable,
            "reason": reason,
        }
        logging.getLogger(__name__).error(
            "Setting cannot be used", extra=fields
        )


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    count(EventName.UNCAUGHT)
    fields = {"event": "uncaught"}
    logging.getLogger(__name__).critical(
        "The process ended by a defect",
        exc_info=(kind, error, trace),
        extra=fields,
    )


def _log_uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is None or issubclass(caught.exc_type, SystemExit):
        return
    count(EventName.UNCAUGHT)
    fields = {"event": "uncaught", "of": ""}
    if caught.thread:
        fields["of"] = caught.thread.name
    logging.getLogger(__name__).critical(
        "A thread ended by a defect",
        exc_info=(caught.exc_type, caught.exc_value, caught.exc_traceback),
        extra=fields,
    )
