"""The folders of a catalogue, read file by file: one bad file must not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..clients.catalogue import read_document
from ..core import policies
from ..core.checks.bodies import Shape
from ..core.checks.findings import Finding, did_you_mean
from ..core.refs import Json
from ..core.schemas import ResourceType, parse_schemas
from ..core.source import Located, SourceError
from ..core.templates import Template, parse_template
from ..errors import InvalidInput

SCHEMA, MAPPING, TEMPLATE, CASES = (
    "schema.yaml",
    "mapping.yaml",
    "template.yaml.j2",
    "cases",
)

_MAPPING_KEYS = ("handler", "watch", "parameter_mappings", "description")
_FILES_KEYS = (
    "environment",
    "files",
    "resource_registry",
    "parameter_defaults",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.
    *line* counts from 1; 0 when it is not known.
    A *hint* refuses nothing."""

    file: Path
    line: int
    text: str
    hint: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a catalogue, as it is written."""

    file: Path
    located: Located

    @property
    def value(self) -> Json:
        return self.located.value

    def problem(self, finding: Finding, *below: str | int) -> Problem:
        """A finding, at its line.
        *below* is where in the file the document of the finding begins."""
        found = finding.below(*below)
        return Problem(
            self.file, self.located.line_of(found.path), str(found), found.hint
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A worked case."""

    source: SourceFile

    @property
    def document(self) -> Mapping[str, Json]:
        found: Mapping[str, Json] = self.source.value
        return found

    @property
    def name(self) -> str:
        return self.source.file.stem


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One folder of the catalogue: a type, and the template that goes with it if there is one.

    *kind* is what was read of the type; *faults* are those of the files themselves.
    *text_name* is the template's file.
    """

    name: str
    folder: Path
    schema: SourceFile | None = None
    kind: ResourceType | None = None
    mapping: SourceFile | None = None
    template: Template | None = None
    cases: tuple[Case, ...] = ()
    faults: tuple[Problem, ...] = ()
    text_name: str = TEMPLATE

    @property
    def text_file(self) -> Path:
        return self.folder / self.text_name

    @property
    def description(self) -> str:
        if self.schema and isinstance(self.schema.value, dict):
            return str(self.schema.value.get("description", ""))
        return ""


def read(folder: Path) -> list[CatalogueEntry]:
    """Every entry of a catalogue; the folder of a single entry is a catalogue of one.

    :raises InvalidInput: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of templates")
    entries = [
        read_entry(path) for path in sorted(folder.iterdir()) if is_entry(path)
    ]
    if not entries:
        raise InvalidInput(
            f"{folder}: there is no template in it: no folder with a {SCHEMA} or a"
            f" {MAPPING}"
        )
    return entries


def is_entry(path: Path) -> bool:
    return path.is_dir() and any(
        (path / name).exists() for name in (SCHEMA, MAPPING, TEMPLATE, CASES)
    )


class _Attempts:
    """Reads what can be read, and keeps the faults."""

    def __init__(self) -> None:
        self.faults: list[Problem] = []

    def __call__(self, file: Path, load: Callable[[], T]) -> T | None:
        try:
            return load()
        except SourceError as error:
            self.faults.append(Problem(file, error.line, error.why))
        except InvalidInput as error:
            self.faults.append(
                Problem(file, 1, str(error).removeprefix(f"{file}: "))
            )
        except UnicodeDecodeError:
            self.faults.append(Problem(file, 1, "not a text in UTF-8"))
        except OSError as error:
            self.faults.append(Problem(file, 0, error.strerror or str(error)))
        return None

    def add(self, problems: Iterable[Problem]) -> None:
        self.faults += problems


def read_entry(folder: Path) -> CatalogueEntry:
    """One folder. Never raises."""
    attempt = _Attempts()
    schema = attempt(folder / SCHEMA, lambda: _source(folder / SCHEMA))
    kind = _kind(schema, attempt) if schema else None
    mapping, template = _read_template(folder, attempt)
    files = sorted((folder / CASES).glob("*.yaml"))
    sources = [
        source
        for file in files
        if (source := attempt(file, lambda file=file: _source(file)))  # type: ignore[misc]
    ]
    cases = [Case(source) for source in sources if _is_case(source, attempt)]
    return CatalogueEntry(
        folder.name,
        folder,
        schema,
        kind,
        mapping,
        template,
        tuple(cases),
        tuple(attempt.faults),
    )


def _source(file: Path) -> SourceFile:
    return SourceFile(file, read_document(file))


def _kind(schema: SourceFile, attempt: _Attempts) -> ResourceType | None:
    kind = attempt(
        schema.file, lambda: next(iter(parse_schemas([schema.value])), None)
    )
    if kind is not None and kind.fault:
        path = ("metadata", "sync_key_template")
        if kind.fault.startswith("template_path"):
            path = ("metadata", "template_path")
        attempt.add(
            [Problem(schema.file, schema.located.line_of(path), kind.fault)]
        )
    return kind


# The template -------------------------------------------------------------------------------------


def _read_template(
    folder: Path, attempt: _Attempts
) -> tuple[SourceFile | None, Template | None]:
    mapping_file, text_file = folder / MAPPING, folder / TEMPLATE
    if not mapping_file.exists() and not text_file.exists():
        return None, None
    mapping = attempt(mapping_file, lambda: _source(mapping_file))
    text = attempt(text_file, lambda: text_file.read_text(encoding="utf-8"))
    if (
        mapping is None
        or text is None
        or not _check_mapping_keys(mapping, attempt)
    ):
        return mapping, None
    if names := policies.declared(text):
        line = min(names.values())
        attempt.add([Problem(text_file, line, policies.declares(names))])
        return mapping, None
    return mapping, _template(folder.name, mapping, text, attempt)


def _check_mapping_keys(mapping: SourceFile, attempt: _Attempts) -> bool:
    if not isinstance(mapping.value, dict) or not isinstance(
        mapping.value.get("parameter_mappings", {}), dict
    ):
        attempt.add(
            [
                mapping.problem(
                    Finding(
                        (),
                        "expected an object with parameter_mappings, an object of name:"
                        " mapping",
                    )
                )
            ]
        )
        return False
    for key in mapping.value:
        if key in _FILES_KEYS:
            attempt.add(
                [
                    mapping.problem(
                        Finding(
                            (key,),
                            "no files and no environment are sent to Heat; write it"
                            " into the template",
                        )
                    )
                ]
            )
        elif key not in _MAPPING_KEYS:
            attempt.add(
                [
                    mapping.problem(
                        Finding(
                            (key,),
                            f"unknown key; {did_you_mean(key, _MAPPING_KEYS)}",
                        )
                    )
                ]
            )
    return True


def _template(
    name: str, mapping: SourceFile, text: str, attempt: _Attempts
) -> Template | None:
    """The template without the mappings that do not parse, each of which is told."""
    document = {**mapping.value, "id": name, "template_file": text}
    listed = document.get("parameter_mappings", {})
    good = {
        key: value
        for key, value in listed.items()
        if _parses(name, key, value, mapping, attempt)
    }
    return attempt(
        mapping.file,
        lambda: parse_template(name, {**document, "parameter_mappings": good}),
    )


def _parses(
    template: str,
    name: str,
    value: Json,
    mapping: SourceFile,
    attempt: _Attempts,
) -> bool:
    one = {"template_file": "x", "parameter_mappings": {name: value}}
    try:
        parse_template(template, one)
    except InvalidInput as error:
        text = str(error).partition(": ")[2]
        line = mapping.located.line_of(("parameter_mappings", name))
        attempt.add(
            [Problem(mapping.file, line, f"parameter_mappings.{name}: {text}")]
        )
        return False
    return True


# Cases --------------------------------------------------------------------------------------------


_OBJECTS: Json = {"type": "object", "additionalProperties": {"type": "object"}}
_CASE = Shape(
    {
        "type": "object",
        "properties": {
            "description": {"type": "string"},
            "resource": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}},
                "additionalProperties": True,
            },
            "version": {"type": "integer", "minimum": 0},
            "related": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "id": {"type": "string"},
                        "body": {"type": "object"},
                    },
                    "required": ["type", "id", "body"],
                },
            },
            "outputs": {"type": "object", "additionalProperties": _OBJECTS},
            "expect": {
                "type": "object",
                "properties": {
                    "template": {"type": ["string", "null"]},
                    "timeout_mins": {"type": ["integer", "null"]},
                    "parameters": {"type": "object"},
                    "references": {"type": "array"},
                    "outputs": {"type": "array", "items": {"type": "string"}},
                    "hot": {"type": "object"},
                    "absent": {"type": "array"},
                },
            },
        },
        "required": ["resource", "expect"],
    }
)
"""What a worked case looks like. Null is as good as nothing."""


def _is_case(source: SourceFile, attempt: _Attempts) -> bool:
    if not isinstance(source.value, dict):
        attempt.add(
            [source.problem(Finding((), "a case is one document: an object"))]
        )
        return False
    found = list(_CASE.check(source.value))
    attempt.add(source.problem(finding) for finding in found)
    return not found
