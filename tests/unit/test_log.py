"""A record becomes one line that can always be written, whatever it holds."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.log import ConsoleFormatter, JsonFormatter, line

NOT_UTF8 = "/config/v1/nodes/\udcff\udcfe"
"""A key whose last two bytes are ff fe, as Python's surrogateescape writes them."""


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()])
def test_a_key_that_is_not_utf8_is_escaped(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "Config skipped", "levelname": "WARNING", "config": NOT_UTF8})
    shown = formatter.format(record)

    assert r"/config/v1/nodes/\udcff\udcfe" in shown
    shown.encode()


def test_the_escaped_line_is_still_json() -> None:
    record = logging.makeLogRecord({"msg": "Config skipped", "config": NOT_UTF8, "city": "Zürich"})
    document = json.loads(JsonFormatter().format(record))

    assert (document["config"], document["city"]) == (NOT_UTF8, "Zürich")


def record(message: str, **fields: object) -> logging.LogRecord:
    found = logging.LogRecord("here", logging.INFO, "", 0, message, None, None)
    vars(found).update(fields)
    return found


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
