"""The door to the catalogue: the folder ``templates/``, read once."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..core.schemas import Schemas, parse_schemas
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


def default_folder() -> Path:
    """``templates/`` beside the packages in a checkout, or where an installation puts it."""
    beside = Path(__file__).resolve().parents[2] / "templates"
    return beside if beside.is_dir() else Path(sysconfig.get_path("data")) / "share" / "orchestrator" / "templates"


def load(folder: str | Path = "") -> Catalogue:
    """Read the whole catalogue.

    :raises InvalidInput: naming the file at fault.
    """
    root = Path(folder) if folder else default_folder()
    if not root.is_dir():
        raise InvalidInput(f"{root}: there is no such folder of templates; set ORCHESTRATOR_TEMPLATES")
    schemas: list[Any] = []
    documents: dict[str, Mapping[str, Any]] = {}
    for entry in sorted(path for path in root.iterdir() if path.is_dir()):
        if (entry / "schema.yaml").exists():
            schemas.append(read_yaml(entry / "schema.yaml"))
        if (entry / "mapping.yaml").exists():
            mapping = read_yaml(entry / "mapping.yaml")
            text = (entry / "template.yaml.j2").read_text()
            documents[entry.name] = {
                "id": entry.name,
                "handler": mapping.get("handler", "heat_worker"),
                "watch": mapping.get("watch", []),
                "template_file": text,
                "parameter_mappings": mapping.get("parameter_mappings", {}),
            }
    templates = {name: parse_template(name, document) for name, document in documents.items()}
    return Catalogue(root, templates, {"schemas": schemas}, documents)


def read_yaml(path: Path) -> Any:
    """One YAML document.

    :raises InvalidInput: naming the file and the place.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path}: {error}") from error
