"""Logging: a constant message, and fields in ``extra``; a line for people or a JSON document.

Every record passes :func:`_fields`, which masks what is secret by its name, so that a careless
``extra`` cannot leak.

With ``json`` every line of a process is a JSON document, from the first to the last: warnings of
Python's and exceptions that nobody catches included.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from .core.masking import masked
from .errors import SettingsError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}
    return dict(masked(extra))


def _printable(line: str) -> str:
    """A key of etcd that is not UTF-8 has characters that cannot be written: they are escaped, as in ``\\udcff``."""
    try:
        line.encode()
    except UnicodeEncodeError:
        return line.encode(errors="backslashreplace").decode()
    return line


class ConsoleFormatter(logging.Formatter):
    """``14:02:11 INFO    Stack submitted  job=create:…  stack=port_…``"""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f"  {name}={value}" for name, value in _fields(record).items() if name != "event")
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:<7} {record.getMessage()}{fields}"
        return _printable(f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line)


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
            document["exception"] = self.formatException(record.exc_info)
        return _printable(json.dumps(document, default=str, ensure_ascii=False))


def line(level: int, message: str, **fields: Any) -> str:
    """A JSON line by itself, for where no logger may be used: in a signal handler."""
    record = logging.LogRecord("orchestrator", level, "", 0, message, None, None)
    vars(record).update(fields)
    return JsonFormatter().format(record)


def configure(level: str, style: str) -> None:
    """Set up the root logger of this process.

    :param style: ``console`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    if style == "json":
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        # "received" and "succeeded" for every task: what a step did, it says itself.
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level) if root.level > logging.DEBUG else root.level)
    for noisy in ("urllib3", "keystoneauth", "openstack", "stevedore", "kombu", "amqp", "heatclient"):
        # Their DEBUG lines print request bodies, in which secrets are not recognisable any more.
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def tell_refused(error: SettingsError) -> None:
    """Say why this process does not start, in the form that its log would have."""
    if error.log_format != "json":
        print(f"error: {error}", file=sys.stderr)
        return
    configure("INFO", "json")
    for fault in error.faults:
        variable, _, reason = fault.partition(": ")
        fields = {"event": "setting_refused", "variable": variable, "reason": reason}
        logging.getLogger(__name__).error("Setting cannot be used", extra=fields)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    fields = {"event": "uncaught"}
    logging.getLogger(__name__).critical("The process ended by a defect", exc_info=(kind, error, trace), extra=fields)


def _log_uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is None or issubclass(caught.exc_type, SystemExit):
        return
    fields = {"event": "uncaught", "of": caught.thread.name if caught.thread else ""}
    logging.getLogger(__name__).critical(
        "A thread ended by a defect",
        exc_info=(caught.exc_type, caught.exc_value, caught.exc_traceback),
        extra=fields,
    )
