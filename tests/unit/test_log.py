"""A log line is one line, with every character to be seen, and quotes no secret."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.texts import is_odd
from orchestrator.errors import HeatRefused, MappingError, StoreUnavailable, TargetUnavailable
from orchestrator.log import ConsoleFormatter, JsonFormatter, line
from orchestrator.tracebacks import told, words

NOT_UTF8 = "/config/v1/nodes/\udcff\udcfe"
"""A key whose last two bytes are ff fe, as Python's surrogateescape writes them."""
EVIL = "a\n14:02:11 ERROR   forged\x1b[2J\u202e\x9b\ud800\r"


def record(message: str, error: BaseException | None = None, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("tasks.steps", logging.INFO, __file__, 1, message, (), None)
    made.exc_info = (type(error), error, error.__traceback__) if error else None
    vars(made).update(fields)
    return made


def test_no_value_forges_a_line_or_moves_the_cursor() -> None:
    line = ConsoleFormatter().format(record("Job ended", job=EVIL, event="job_done"))

    assert len(line.splitlines()) == 1 and not any(map(is_odd, line))
    assert "a⏎14:02:11 ERROR forged\\x1b[2J\\u202e\\x9b\\ud800\\r" in line


def test_no_value_forges_a_field() -> None:
    """Two spaces begin a field."""
    line = ConsoleFormatter().format(record("Job ended", reason="x  tenant=other", tenant="mine"))

    assert line.count("  tenant=") == 1 and "  tenant=mine" in line


def test_nor_does_a_message() -> None:
    assert len(ConsoleFormatter().format(record(EVIL)).splitlines()) == 1


def test_a_document_is_one_line_and_says_all() -> None:
    line = JsonFormatter().format(record("Job ended", job=EVIL, event="job_done"))

    assert len(line.splitlines()) == 1 and not any(map(is_odd, line)) and line.encode()
    assert json.loads(line)["job"] == EVIL


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


def test_the_lines_of_a_traceback_are_indented() -> None:
    text = ConsoleFormatter().format(
        record("Oops", raised(TypeError("x\n14:02:11 ERROR   forged")))
    )
    first, *others = text.splitlines()

    assert first.endswith("Oops") and others and all(line.startswith("    ") for line in others)


@pytest.mark.parametrize(
    "formatter", [ConsoleFormatter(), JsonFormatter()], ids=["console", "json"]
)
def test_a_traceback_quotes_no_value_of_any_exception_in_the_chain(
    formatter: logging.Formatter,
) -> None:
    cause = raised(ValueError("invalid literal: 'hunter2'"))
    error = raised(KeyError("hunter2"), cause)
    text = formatter.format(record("Task failed because of a bug", error))

    assert "hunter2" not in text
    assert "KeyError" in text and "ValueError" in text and "test_log.py" in text


@pytest.mark.parametrize(
    ("error", "tells"),
    [
        pytest.param(TypeError("unsupported operand types"), True, id="types only"),
        pytest.param(AttributeError("no attribute 'x'"), True, id="names only"),
        pytest.param(ConnectionRefusedError(111, "Connection refused"), True, id="the system's"),
        pytest.param(
            StoreUnavailable("etcd at 127.0.0.1:2379: deadline exceeded"), True, id="about etcd"
        ),
        pytest.param(TargetUnavailable("the target answers 500"), True, id="about a target"),
        pytest.param(MappingError("port:p: property 'x' is no list"), True, id="about an input"),
        pytest.param(HeatRefused(400, "bad value hunter2"), False, id="Heat's words"),
        pytest.param(ValueError("hunter2"), False, id="a value"),
        pytest.param(UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "no"), False, id="bytes"),
        pytest.param(LookupError("hunter2"), False, id="a key"),
        pytest.param(Exception("hunter2"), False, id="anything"),
    ],
)
def test_an_exception_says_what_it_can_without_quoting(error: Exception, tells: bool) -> None:
    assert words(error) == (str(error) if tells else "(words withheld: they may quote a value)")
    assert "hunter2" not in told(raised(error))


def test_a_library_that_quotes_an_address_is_not_the_system() -> None:
    import requests

    assert "withheld" in words(
        requests.ConnectionError("Max retries exceeded with url: /t?x=hunter2")
    )


def test_what_an_exception_says_is_one_line_of_bounded_length() -> None:
    text = words(TypeError("x\n" * 1_000_000))

    assert len(text) < 10_000 and len(text.splitlines()) == 1


def test_exceptions_that_cause_each_other_in_a_circle_are_told_once() -> None:
    one, two = raised(TypeError("one")), raised(TypeError("two"))
    one.__cause__, two.__cause__ = two, one

    assert told(one).count("TypeError") == 2


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()])
def test_a_key_that_is_not_utf8_is_escaped(formatter: logging.Formatter) -> None:
    line = formatter.format(
        logging.makeLogRecord({"msg": "Config skipped", "levelname": "WARNING", "config": NOT_UTF8})
    )

    assert r"/config/v1/nodes/\udcff\udcfe" in line
    line.encode()


def test_the_escaped_line_is_still_json() -> None:
    document = json.loads(
        JsonFormatter().format(
            logging.makeLogRecord({"msg": "", "config": NOT_UTF8, "city": "Zürich"})
        )
    )

    assert (document["config"], document["city"]) == (NOT_UTF8, "Zürich")


@given(st.text())
def test_a_json_line_is_one_line_and_says_the_same(text: str) -> None:
    shown = JsonFormatter().format(record("Constant", resource=text))

    assert "\n" not in shown
    assert json.loads(shown)["resource"] == text


def test_secrets_are_masked_by_their_names() -> None:
    shown = JsonFormatter().format(record("Constant", password="canary", inner={"token": "canary"}))

    assert "canary" not in shown


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_a_line_without_a_logger_has_the_same_form(level: int) -> None:
    document = json.loads(line(level, "worker: Warm shutdown", event="worker_says"))

    assert document["level"] == logging.getLevelName(level)
    assert (document["message"], document["event"]) == ("worker: Warm shutdown", "worker_says")
