"""The door to the catalogue: the folder ``templates/``, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..core import source
from ..core.refs import Json
from ..core.schemas import Schemas, parse_schemas
from ..core.source import Located, SourceError
from ..core.templates import Template, parse_template
from ..errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Templates by id, the schema list, and the documents as they are pushed to etcd."""

    folder: Path
    templates: Mapping[str, Template]
    schema_list: Mapping[str, Any]
    documents: Mapping[str, Mapping[str, Any]]

    @property
    def schemas(self) -> Schemas:
        return parse_schemas(self.schema_list)


_INSTALLED = "catalogue"
"""Where an installation has the catalogue: a folder of the package ``orchestrator``."""


def default_folder() -> Path:
    """The project's own catalogue: package data of an installation, or ``templates/`` of a
    checkout."""
    package = Path(str(files("orchestrator")))
    installed = package / _INSTALLED
    if installed.is_dir():
        return installed
    return package.parent / "templates"


def is_installed(folder: Path) -> bool:
    """Whether a folder is the catalogue of an installation, which the next one replaces."""
    return (
        folder.resolve()
        == Path(str(files("orchestrator"))).resolve() / _INSTALLED
    )


def load(folder: str | Path = "") -> Catalogue:
    """Read the whole catalogue.

    :raises InvalidInput: naming the file at fault.
    """
    root = Path(folder or default_folder())
    if not root.is_dir():
        raise InvalidInput(
            f"{root}: there is no such folder of templates; set ORCHESTRATOR_TEMPLATES"
        )
    schemas: list[Any] = []
    documents: dict[str, Mapping[str, Any]] = {}
    for entry in sorted(path for path in root.iterdir() if path.is_dir()):
        if (entry / "schema.yaml").exists():
            schemas.append(read_yaml(entry / "schema.yaml"))
        if (entry / "mapping.yaml").exists():
            mapping = read_yaml(entry / "mapping.yaml")
            text = _text(entry / "template.yaml.j2")
            documents[entry.name] = {
                "id": entry.name,
                "handler": mapping.get("handler", "heat_worker"),
                "watch": mapping.get("watch", []),
                "template_file": text,
                "parameter_mappings": mapping.get("parameter_mappings", {}),
            }
    templates = {
        name: parse_template(name, document)
        for name, document in documents.items()
    }
    return Catalogue(root, templates, {"schemas": schemas}, documents)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: not a text in UTF-8") from None


def read_yaml(path: Path) -> Json:
    """The value of one YAML document.

    :raises InvalidInput: naming the file and the line.
    """
    try:
        return read_document(path).value
    except SourceError as error:
        raise InvalidInput(f"{path}:{error.line}: {error.why}") from error
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: not a text in UTF-8") from None


def read_document(path: Path) -> Located:
    """One YAML document with its lines, read as JSON has it.

    :raises SourceError: it is none, or not one.
    :raises OSError: the file cannot be read.
    :raises UnicodeDecodeError: it is not UTF-8.
    """
    documents = source.read_yaml(
        path.read_text(encoding="utf-8").removeprefix("\ufeff")
    )
    if len(documents) != 1:
        raise SourceError(1, f"expected one document, not {len(documents)}")
    return documents[0]
