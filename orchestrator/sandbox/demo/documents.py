"""The demo's documents: read from `templates/examples`, written to etcd as the API server writes
them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.clients import catalogue
from orchestrator.clients.store import Store
from orchestrator.core.keys import Keys
from orchestrator.core.refs import Ref
from orchestrator.core.source import SourceError, read_yaml
from orchestrator.errors import InvalidInput

SERVICE = "load_balancer_service.yaml"
UPDATE = "interface_update.yaml"

#: The resource that `UPDATE` changes.
INTERFACE = Ref("load_balancer_interface", "lbif-http")


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """One resource as somebody wants it: `{type, id, body}`."""

    ref: Ref
    body: dict[str, Any]


def folder() -> Path:
    """Where the examples lie, in a checkout or an installation."""
    return catalogue.default_folder() / "examples"


def read(path: Path) -> list[DemoDocument]:
    """The documents of one file, each with its id in its body."""
    try:
        entries = [
            located.value
            for located in read_yaml(path.read_text(encoding="utf-8"))
        ]
        return [
            DemoDocument(
                Ref(entry["type"], entry["id"]),
                {"id": entry["id"], **entry["body"]},
            )
            for entry in entries
        ]
    except (OSError, SourceError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path}: {error!r}") from error


def service(collector: str) -> list[DemoDocument]:
    """The load balancer's service, watched by the collector at this URL."""
    documents = read(folder() / SERVICE)
    for document in documents:
        if document.ref.type == "monitoring_collector":
            document.body["url"] = collector
    return documents


def update() -> list[DemoDocument]:
    """One of its interfaces, changed."""
    return read(folder() / UPDATE)


def apply(store: Store, keys: Keys, documents: Iterable[DemoDocument]) -> None:
    """Write configs as the API server does: the body as JSON in a string, the version one higher
    than before."""
    for document in documents:
        key = keys.below(keys.config, document.ref)
        before = store.get(key)
        version = json.loads(before.value)["version"] + 1 if before else 1
        value = {
            "body": json.dumps(document.body),
            "version": version,
            "marked_for_deletion": False,
        }
        store.put(key, json.dumps(value))


def wanted(
    *groups: Sequence[DemoDocument],
) -> dict[Ref, tuple[int, DemoDocument]]:
    """What is wanted once the groups were applied one after the other: the last document of each
    resource, and its version."""
    found: dict[Ref, tuple[int, DemoDocument]] = {}
    for document in (document for group in groups for document in group):
        version = found[document.ref][0] + 1 if document.ref in found else 1
        found[document.ref] = (version, document)
    return found
