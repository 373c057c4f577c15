"""The places a schema list can come from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ...core.documents import parse_json
from ...core.refs import Json
from ...core.schema_list import SchemaList
from ...errors import InvalidInput
from ..catalogue import Catalogue, read_yaml
from .access import SchemaAccess, is_address, without_secrets


class Source(Protocol):
    """Where this process finds a schema list.

    *name* is for people and holds no secret. *local*: it needs no server.
    """

    name: str
    local: bool

    def read(self) -> SchemaList:
        """The list as it is now.

        :raises SchemasDenied: the API server does not let us read it.
        :raises InvalidInput: what is there is no schema list, or one that cannot be used.
        :raises TemporaryError: the API server, or Keystone, does not answer.
        """

    def may_have_changed(self) -> bool:
        """Whether it is worth reading again."""


def source(access: SchemaAccess, catalogue: Catalogue) -> Source:
    """The source that the settings name."""
    if is_address(access.source):
        return _Address(access)
    if access.source:
        return _File(Path(access.source))
    return _OwnCatalogue(catalogue)


def _made(document: Json, source: str) -> SchemaList:
    try:
        return SchemaList.of(document, source, _now())
    except InvalidInput as error:
        raise InvalidInput(f"ORCHESTRATOR_SCHEMAS {source}: {error}") from error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Address:
    """An API server's list."""

    local = False

    def __init__(self, access: SchemaAccess) -> None:
        # requests takes long to import, and most lists are files.
        from . import http

        self.name = without_secrets(access.source)
        self._server = http.Server(access, self.name)

    def read(self) -> SchemaList:
        return _made(self._server.get(), self.name)

    def may_have_changed(self) -> bool:
        return True


class _File:
    """A file, JSON or YAML."""

    local = True

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> SchemaList:
        self._seen = self._state()
        return _made(self._document(), self.name)

    def may_have_changed(self) -> bool:
        return self._state() != self._seen

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _document(self) -> Json:
        try:
            if self._path.suffix in (".yaml", ".yml"):
                return read_yaml(self._path)
            return parse_json(self._path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInput(
                f"ORCHESTRATOR_SCHEMAS {self.name}: {error}"
            ) from error


class _OwnCatalogue:
    """The types of the template catalogue, as they were when the process started."""

    local = True

    def __init__(self, catalogue: Catalogue) -> None:
        self.name = f"the catalogue {catalogue.folder}"
        self._catalogue = catalogue

    def read(self) -> SchemaList:
        return _made(self._catalogue.schema_list, self.name)

    def may_have_changed(self) -> bool:
        return False
