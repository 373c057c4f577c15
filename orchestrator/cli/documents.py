"""From files to documents: what ``apply`` and ``delete -f`` are given, parsed and checked before
anything is written.

A document is ``{type, id, body}``.
A file holds YAML documents, JSON documents one after the other, or lists of them.
YAML is read as JSON has it: see :mod:`orchestrator.core.source`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core import jinja, source
from ..core.checks.bodies import Shapes
from ..core.checks.findings import Finding, did_you_mean
from ..core.keys import Keys
from ..core.refs import Json, Ref
from ..core.resources import Wanted, parse_config
from ..core.source import JsonPath, Located, SourceError
from ..core.templates import TEMPLATE_TYPE, parse_template
from ..errors import InvalidInput
from . import naming

STDIN = "-"
_KEYS = ("type", "id", "body")
_ELSEWHERE = {
    "kind": "type",
    "resource_type": "type",
    "spec": "body",
    "properties": "body",
    "data": "body",
    "name": "id",
    "resource_id": "id",
}
"""What other systems call the parts of a document, and what they are called here."""
_FOREIGN = {
    "metadata": (
        "there is no 'metadata' here: its name is the id, and the rest belongs into the"
        " body"
    ),
    "apiVersion": "there is no 'apiVersion' here; leave it out",
}


@dataclass(frozen=True, slots=True)
class Raw:
    """One document as it was read. *file* names it for whoever has to correct it."""

    file: str
    located: Located

    @property
    def value(self) -> Json:
        return self.located.value

    def where(self, path: JsonPath = ()) -> str:
        """``service.yaml:12``: the line of a part."""
        line = self.located.line_of(path)
        return _place(self.file, line)


@dataclass(frozen=True, slots=True)
class Document:
    """One wanted resource."""

    ref: Ref
    body: dict[str, Json]
    raw: Raw


def _place(file: str, line: int) -> str:
    if line:
        return f"{file}:{line}"
    return file


def of_command_line(kind: str, resource_id: str) -> Raw:
    """The document that TYPE and ID of a command line stand for."""
    return Raw(
        "the command line",
        Located({"type": kind, "id": resource_id}, 0, lambda path: 0),
    )


# Reading ------------------------------------------------------------------------------------------


def parse_text(text: str, name: str) -> list[Raw]:
    """The documents of one file, lists taken apart.

    :param name: of the file, for its ending and for errors.
    :raises InvalidInput: naming the file and the line.
    """
    try:
        loaded = _parse(text.removeprefix("\ufeff"), name)
    except SourceError as error:
        place = _place(name, error.line)
        raise InvalidInput(f"{place}: {error.why}") from None
    return [Raw(name, part) for located in loaded for part in _parts(located)]


def _parts(located: Located) -> Iterator[Located]:
    if not isinstance(located.value, list):
        yield located
        return
    for place, value in enumerate(located.value):
        yield Located(
            value, located.line_of((place,)), partial(_below, located, place)
        )


def _below(located: Located, place: int, path: JsonPath) -> int:
    return located.find((place, *path))


def _parse(text: str, name: str) -> list[Located]:
    if name.endswith((".json", ".jsonl")):
        return source.read_json(text)
    if text.lstrip()[:1] in (
        "{",
        "[",
    ):  # JSON for certain, or YAML that looks like it
        try:
            return source.read_json(text)
        except SourceError:
            return source.read_yaml(text)
    return source.read_yaml(text)


def read(files: Iterable[str]) -> list[Raw]:
    """Every document of every file.

    :param files: paths; ``-`` is standard input.
    :raises InvalidInput: a file cannot be read, or holds nothing.
    """
    found: list[Raw] = []
    for file in files:
        name = file
        if file == STDIN:
            name = "standard input"
        documents = parse_text(_content(file, name), name)
        if not documents:
            raise InvalidInput(f"{name}: there is no document in it")
        found += documents
    return found


def _content(file: str, name: str) -> str:
    try:
        if file == STDIN:
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{name}: not a text in UTF-8") from None


# Checking -----------------------------------------------------------------------------------------


def check(
    keys: Keys,
    documents: Iterable[Raw],
    *,
    need_body: bool = True,
    shapes: Shapes | None = None,
) -> list[Document]:
    """The documents, if every one of them can be used.

    :param need_body: False where type and id say all that is needed.
    :param shapes: the JSON schemas that bodies are held to; None: they are not.
    :raises InvalidInput: one line for each fault, with its file and line.
    """
    good: list[Document] = []
    faults: list[str] = []
    seen: dict[Ref, Raw] = {}
    for raw in documents:
        try:
            document = _check(keys, raw, need_body)
        except _Faults as found:
            faults += [
                f"{raw.where(finding.path)}: {finding.text}"
                for finding in found.findings
            ]
            continue
        if document.ref in seen:
            faults.append(
                f"{raw.where()}: {document.ref} is in {seen[document.ref].where()}"
                " already"
            )
        seen[document.ref] = raw
        good.append(document)
        if shapes is not None:
            faults += _body_faults(document, shapes)
    if faults:
        raise InvalidInput("\n".join(faults))
    return good


class _Faults(Exception):
    """What is wrong with one document."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(*findings)
        self.findings = findings


def _fault(text: str, *path: str) -> _Faults:
    return _Faults(Finding(path, text))


def _check(keys: Keys, raw: Raw, need_body: bool) -> Document:
    value = raw.value
    if not isinstance(value, dict):
        raise _fault("expected an object with type, id and body")
    if strangers := [key for key in value if key not in _KEYS]:
        raise _Faults(*(Finding((key,), _stranger(key)) for key in strangers))
    kind = value.get("type")
    if kind is None:
        raise _fault("the type is missing", "type")
    if not isinstance(kind, str) or not kind:
        raise _fault("the type should be a text", "type")
    try:
        known = naming.check_type(keys, kind)
    except InvalidInput as error:
        raise _fault(str(error), "type") from None
    try:
        ref = Ref(known, naming.check_id(keys, known, value.get("id")))
    except InvalidInput as error:
        raise _fault(str(error), "id") from None
    if not need_body and value.get("body") is None:
        return Document(ref, {}, raw)
    return Document(ref, _body(keys, ref, value), raw)


def _stranger(key: str) -> str:
    if key in _ELSEWHERE:
        told = f"{key!r} is called {_ELSEWHERE[key]} here"
    else:
        told = (
            _FOREIGN.get(key)
            or f"unknown key {key!r}; {did_you_mean(key, _KEYS)}"
        )
    return f"{told}; a document has type, id and body"


def _body(keys: Keys, ref: Ref, value: dict[str, Json]) -> dict[str, Json]:
    if "body" not in value:
        raise _fault(f"{ref}: the body is missing", "body")
    body = value["body"]
    if not isinstance(body, dict):
        raise _fault(f"{ref}: the body should be an object", "body")
    if body.get("id", ref.id) != ref.id:
        raise _fault(
            f"{ref}: the body has another id; leave it out, it is put in",
            "body",
            "id",
        )
    body = {"id": ref.id, **body}
    if kind_known := keys.schemas.get(ref.type):
        keys.place(ref, body)
        if not keys.is_placed(ref):
            raise _fault(
                f"{ref}: its key is /{kind_known.pattern}; give each of these"
                " properties in the body",
                "body",
            )
        parsed = parse_config(
            keys, keys.below(keys.config, ref), value_of(body, 1).encode()
        )
        if isinstance(parsed, Wanted) and parsed.fault:
            raise _fault(parsed.fault, "body")
    return body


def _body_faults(document: Document, shapes: Shapes) -> list[str]:
    """What in a body does not fit its type: one line for each fault, in the order of the file."""
    raw = document.raw
    found = sorted(
        _body_findings(document, shapes),
        key=lambda one: raw.located.line_of(one.path),
    )
    return [f"{raw.where(one.path)}: {document.ref}: {one}" for one in found]


def _body_findings(document: Document, shapes: Shapes) -> Iterator[Finding]:
    """What in a body does not fit its type."""
    for finding in shapes.of(document.ref.type).check(document.body):
        yield finding.below("body")
    if document.ref.type == TEMPLATE_TYPE:
        yield from _template_findings(document)


def _template_findings(document: Document) -> Iterator[Finding]:
    """A template that cannot be used is told before it is written, not by each resource that needs
    it."""
    try:
        template = parse_template(document.ref.id, document.body)
    except InvalidInput as error:
        part = "template_file"
        if "parameter" in str(error):
            part = "parameter_mappings"
        yield Finding(("body", part), str(error))
        return
    if fault := jinja.syntax_fault(template.text):
        yield Finding(("body", "template_file"), fault)


def value_of(
    body: Mapping[str, Json], version: int, *, marked: bool = False
) -> str:
    """The value below ``/config``, as the API server writes it: the body is JSON inside a text."""
    return json.dumps(
        {
            "body": json.dumps(body),
            "version": version,
            "marked_for_deletion": marked,
        }
    )
