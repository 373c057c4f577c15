"""A log line can always be written, whatever the keys of etcd hold."""

from __future__ import annotations

import json
import logging

import pytest

from orchestrator.log import ConsoleFormatter, JsonFormatter

NOT_UTF8 = "/config/v1/nodes/\udcff\udcfe"
"""A key whose last two bytes are ff fe, as Python's surrogateescape writes them."""


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()])
def test_a_key_that_is_not_utf8_is_escaped(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "Config skipped", "levelname": "WARNING", "config": NOT_UTF8})
    line = formatter.format(record)

    assert r"/config/v1/nodes/\udcff\udcfe" in line
    line.encode()


def test_the_escaped_line_is_still_json() -> None:
    record = logging.makeLogRecord({"msg": "Config skipped", "config": NOT_UTF8, "city": "Zürich"})
    document = json.loads(JsonFormatter().format(record))

    assert (document["config"], document["city"]) == (NOT_UTF8, "Zürich")
