"""Schema lists in upstream's form, that of ``GET /gohan/v0.1/schemas`` (server/api.go)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.clients import catalogue

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_OWN = ("schema", "policy", "extension", "event", "namespace", "version")
"""Gohan's own types, which every list begins with (etc/schema/gohan.json)."""


@dataclass(frozen=True)
class GohanKind:
    """One type, with what its metadata means for the keys in etcd."""

    entry: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def url(self) -> str:
        return str(self.entry["url"])

    @property
    def metadata(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.entry["metadata"]
        return found

    @property
    def versioned(self) -> bool:
        return self.metadata.get("state_versioning") is True

    @property
    def synced(self) -> bool:
        return self.metadata.get("nosync") is not True

    def path(self, body: Mapping[str, Any]) -> str:
        """Of a resource, without any prefix (generatePath in server/sync_writer.go)."""
        template = self.metadata.get("sync_key_template")
        if not template:
            return f"{self.url}/{body['id']}"
        return _VARIABLE.sub(lambda found: str(body[found[1]]), template)

    def config_key(self, body: Mapping[str, Any]) -> str:
        prefix = "" if self.metadata.get("sync_skip_config_prefix") else "/config"
        return prefix + self.path(body)


def entry(
    kind: str,
    plural: str = "",
    prefix: str = "/v2.0",
    schema: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """An entry as the API answers with it: the path is *prefix* and *plural*, told by ``url``."""
    plural = plural or f"{kind}s"
    return {
        "id": kind,
        "plural": plural,
        "title": kind,
        "description": kind,
        "parent": "",
        "singular": kind,
        "prefix": prefix,
        "url": f"{prefix}/{plural}",
        "namespace": "",
        "schema": dict(schema or {"type": "object", "properties": {}}),
        "actions": {},
        "metadata": metadata,
    }


def own_entries() -> Iterator[dict[str, Any]]:
    for kind in _OWN:
        nosync: Any = {"nosync": True} if kind in ("event", "namespace") else {}
        yield entry(kind, prefix="/gohan/v0.1", type="metaschema", **nosync)


def catalogue_entries(versioned: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The catalogue's types, as somebody who loads them into Gohan would have them.

    :param versioned: those with ``state_versioning``.
    """
    chosen = set(versioned)
    for listed in catalogue.load().schema_list["schemas"]:
        prefix, _, plural = listed["prefix"].rpartition("/")
        metadata = dict(listed.get("metadata") or {})
        metadata.pop("state_versioning", None)
        if listed["id"] in chosen:
            metadata["state_versioning"] = True
        yield entry(listed["id"], plural, prefix, listed.get("schema"), **metadata)
