"""From a monitoring target's document to the monitoring record (CONTRACT section 8)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .effects import is_monitoring_link
from .refs import Json


@dataclass(frozen=True, slots=True)
class Status:
    """What one target says: *value* of status *key*, at config *version*.

    *settled* is False while a status that is not positive has not lasted long enough to be told.
    """

    key: str
    value: Json
    version: int
    settled: bool = True


def links(outputs: Iterable[Json]) -> list[str]:
    """The URLs of the monitoring targets among a stack's outputs."""
    return [str(output["output_value"]) for output in outputs if is_monitoring_link(output)]


def parse_target(document: Json, now: datetime) -> Status | None:
    """The status that a target reports for etcd; None when it reports none (yet).

    :param now: the time of the answer by the collector's own clock, so that hold times need no
        synchronised clocks.
    """
    if not isinstance(document, Mapping):
        return None
    etcd = _object(_object(document.get("syncer_properties")).get("etcd"))
    key = _object(etcd.get("status")).get("key")
    values = document.get("values")
    version = document.get("version")
    if not isinstance(key, str) or not isinstance(values, list) or not isinstance(version, int):
        return None
    entry = next((value for value in values if _object(value).get("key") == "status"), None)
    if entry is None or "value" not in entry:
        return None
    return Status(key, entry["value"], version, _settled(entry, _object(etcd.get("hold_options")), now))


def _settled(entry: Mapping[str, Json], hold: Mapping[str, Json], now: datetime) -> bool:
    positive, seconds = hold.get("positive_status"), hold.get("time_seconds")
    if not isinstance(positive, list) or not isinstance(seconds, (int, float)) or entry["value"] in positive:
        return True
    changed = _time(entry.get("last_changed"))
    return changed is None or (now - changed).total_seconds() >= seconds


def _time(text: Json) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def record(statuses: Sequence[Status], reported: int, old: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
    """The monitoring record of a resource, None when there should be none.

    :param statuses: of its targets that are there and report to etcd.
    :param reported: the version of the state record; a target of a later version is not told yet.
    :param old: the record as it is, whose value stands while a new one is held back.
    """
    told: dict[str, Json] = {}
    for status in statuses:
        if status.version > reported:
            continue
        if status.settled:
            told[status.key] = status.value
        elif old is not None and status.key in old:
            told[status.key] = old[status.key]
        else:
            continue
        told["version"] = max(status.version, told.get("version", 0))
    if told:
        return told
    return old if statuses else None


def as_string(told: Mapping[str, Json]) -> Mapping[str, Json]:
    """The record as upstream Gohan's watcher reads it: the values as a JSON text beside the version."""
    return {"monitoring": json.dumps(told), "version": told["version"]}


def from_stored(stored: Mapping[str, Json]) -> Mapping[str, Json]:
    """The record, whichever of the two forms it was written in."""
    inner = stored.get("monitoring")
    return json.loads(inner) if isinstance(inner, str) and stored.keys() == {"monitoring", "version"} else stored
