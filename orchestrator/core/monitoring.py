"""From a monitoring target's document to the monitoring record (CONTRACT section 8)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import TargetUnavailable
from .documents import inside, members
from .records import MonitoringRecord, is_monitoring_link
from .refs import Json

MOST_TARGETS = 16
"""Targets of one resource that are asked."""
LARGEST_VALUE = 16 * 1024
"""Characters of a status value as JSON.
With :data:`MOST_TARGETS`, a monitoring record stays below 300 KiB."""
DEEPEST_VALUE = 32
"""Levels of a status value: whoever reads the record may read it with a recursive program."""
LONGEST_KEY = 255
"""Characters of a status key."""
_VERSION = "version"
_LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Status:
    """What one target says: *value* of status *key*, at config *version*.

    *settled* is False while a status that is not positive has not lasted long enough to be told;
    *positive* says whether it is one of those that the target calls positive, at once.
    """

    key: str
    value: Json
    version: int
    settled: bool = True
    positive: bool = True


def links(outputs: Iterable[Json]) -> list[str]:
    """The URLs of the monitoring targets among a stack's outputs."""
    return [
        str(output["output_value"])
        for output in outputs
        if is_monitoring_link(output)
    ]


def parse_target(document: Json, now: datetime) -> Status | None:
    """The status that a target reports for etcd; None when it reports none (yet).

    :param now: the time of the answer by the collector's own clock, so that hold times need no
        synchronised clocks.
    :raises TargetUnavailable: the status cannot be a record's, by its size or by its key.
    """
    if not isinstance(document, Mapping):
        return None
    etcd = members(members(document.get("syncer_properties")).get("etcd"))
    key, version = (
        members(etcd.get("status")).get("key"),
        _version(document.get(_VERSION)),
    )
    entry = _status(document.get("values"))
    if not isinstance(key, str) or version is None or entry is None:
        return None
    _check(key, entry["value"])
    hold = members(etcd.get("hold_options"))
    settled = _settled(entry, hold, now)
    return Status(key, entry["value"], version, settled, _positive(entry, hold))


def _version(version: Json) -> int | None:
    """A version that a config can have, None for anything else (``true`` is a number to Python)."""
    if not isinstance(version, int) or isinstance(version, bool):
        return None
    if 0 <= version <= _LARGEST_VERSION:
        return version
    return None


def _status(values: Json) -> Mapping[str, Json] | None:
    """The entry of the values that holds the status, if it is there."""
    if not isinstance(values, list):
        return None
    entry: Mapping[str, Json] = next(
        (value for value in values if members(value).get("key") == "status"), {}
    )
    if "value" in entry:
        return entry
    return None


def _check(key: str, value: Json) -> None:
    if not key or len(key) > LONGEST_KEY or key == _VERSION:
        raise TargetUnavailable(
            f"the target's status key is {key[:40]!a}; expected 1 to {LONGEST_KEY}"
            f" characters, and not {_VERSION!r}"
        )
    if _deeper_than(value, DEEPEST_VALUE):
        raise TargetUnavailable(
            f"the target's status value is nested deeper than {DEEPEST_VALUE} levels"
        )
    size = _size(value)
    if size > LARGEST_VALUE:
        raise TargetUnavailable(
            f"the target's status value has {size:,} characters; at most"
            f" {LARGEST_VALUE:,} are recorded"
        )


def _size(value: Json) -> int:
    """Characters of a value, as it is shown."""
    if isinstance(value, str):
        return len(value)
    return len(json.dumps(value))


def _deeper_than(value: Json, limit: int) -> bool:
    """Level by level, for a recursive function might end in a RecursionError."""
    level = [value]
    for _ in range(limit):
        level = [inner for outer in level for inner in inside(outer)]
        if not level:
            return False
    return True


def _positive(entry: Mapping[str, Json], hold: Mapping[str, Json]) -> bool:
    """Whether a status is positive. A target that names no positive ones has no others."""
    positive = hold.get("positive_status")
    return not isinstance(positive, list) or entry["value"] in positive


def _settled(
    entry: Mapping[str, Json], hold: Mapping[str, Json], now: datetime
) -> bool:
    positive, seconds = hold.get("positive_status"), hold.get("time_seconds")
    if (
        not isinstance(positive, list)
        or not isinstance(seconds, (int, float))
        or entry["value"] in positive
    ):
        return True
    changed = _time(entry.get("last_changed"))
    return changed is None or (now - changed).total_seconds() >= seconds


def _time(text: Json) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    if parsed.tzinfo:
        return parsed
    return parsed.replace(tzinfo=UTC)


def is_positive(statuses: Sequence[Status], reported: int) -> bool:
    """Whether all targets of a resource that report to etcd are positive, and there are some.

    :param reported: the version of the state record; a target of a later version says nothing yet.
    """
    return bool(statuses) and all(
        status.positive and status.version <= reported for status in statuses
    )


def record(
    statuses: Sequence[Status],
    reported: int,
    old: MonitoringRecord | None,
) -> MonitoringRecord | None:
    """The monitoring record of a resource, None when there should be none.

    :param statuses: of its targets that are there and report to etcd.
    :param reported: the version of the state record; a target of a later version is not told yet.
    :param old: the record as it is, whose value stands while a new one is held back.
    """
    told: dict[str, Json] = {}
    version = 0
    for status in statuses:
        if status.version > reported:
            continue
        if status.settled:
            told[status.key] = status.value
        elif old is not None and status.key in old.statuses:
            told[status.key] = old.statuses[status.key]
        else:
            continue
        version = max(status.version, version)
    if told:
        return MonitoringRecord(version, told)
    if statuses:
        return old
    return None
