"""From files to documents: what ``apply`` and ``delete -f`` are given, parsed and checked before
anything is written.

A document is ``{type, id, body}``.
A file holds YAML documents, JSON documents one after the other, or lists of them.
YAML is read as JSON has it: see :mod:`orchestrator.core.source`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..clients import places
from ..clients.store import Store
from ..core import jinja, source
from ..core.checks.bodies import Shapes
from ..core.checks.findings import Finding, did_you_mean
from ..core.keys import Keys
from ..core.refs import Json, Ref
from ..core.resources import Wanted, parse_config
from ..core.source import JsonPath, Located, SourceError
from ..core.templates import TEMPLATE_TYPE, parse_template
from ..errors import InvalidInput

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

_STACK_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
"""What Heat takes for the name of a stack, which is made of type and id."""


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
        return f"{self.file}:{line}" if line else self.file


@dataclass(frozen=True, slots=True)
class Document:
    """One wanted resource."""

    ref: Ref
    body: dict[str, Json]
    raw: Raw


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
        place = f"{name}:{error.line}" if error.line else name
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
        name = "standard input" if file == STDIN else file
        documents = parse_text(_content(file, name), name)
        if not documents:
            raise InvalidInput(f"{name}: there is no document in it")
        found += documents
    return found


def _content(file: str, name: str) -> str:
    try:
        return (
            sys.stdin.read()
            if file == STDIN
            else Path(file).read_text(encoding="utf-8")
        )
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
    if not isinstance(kind, str) or not kind:
        raise _fault(
            "the type is missing"
            if kind is None
            else "the type should be a text",
            "type",
        )
    try:
        known = check_type(keys, kind)
    except InvalidInput as error:
        raise _fault(str(error), "type") from None
    try:
        ref = Ref(known, check_id(keys, known, value.get("id")))
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
    body = value.get("body")
    if not isinstance(body, dict):
        raise _fault(
            (
                f"{ref}: the body is missing"
                if "body" not in value
                else f"{ref}: the body should be an object"
            ),
            "body",
        )
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
        yield Finding(
            (
                "body",
                "parameter_mappings"
                if "parameter" in str(error)
                else "template_file",
            ),
            str(error),
        )
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


# Names that people type ---------------------------------------------------------------------------


def check_type(keys: Keys, kind: str) -> str:
    """The type's id; its plural, or its path below the config, will do too.

    :raises InvalidInput: with the names that come near.
    """
    names = {known.id: known.id for known in keys.schemas} | {
        TEMPLATE_TYPE: TEMPLATE_TYPE
    }
    paths = {
        known.path.rpartition("/")[2]: known.id for known in keys.schemas
    } | {known.path: known.id for known in keys.schemas}
    found = names.get(kind) or paths.get(kind.strip("/"))
    if found is None:
        origin = keys.schemas.origin
        where = (
            f" in {origin}, by which the bridge works"
            if origin.revision
            else ""
        )
        raise InvalidInput(
            f"unknown type {kind!r}{where}; {did_you_mean(kind, sorted(names))}"
        )
    return found


def check_id(keys: Keys, kind: str, resource_id: Json) -> str:
    """An id that can be a key, and the end of a stack's name where there is a stack.

    :raises InvalidInput: it cannot.
    """
    if resource_id is None or resource_id == "":
        raise InvalidInput("the id is missing")
    if not isinstance(resource_id, str):
        raise InvalidInput(
            f"the id should be a text; put it in quotes: {resource_id!r}"
        )
    if (
        "/" in resource_id
        or not resource_id.isprintable()
        or resource_id != resource_id.strip()
    ):
        raise InvalidInput(
            f"the id {resource_id!r} cannot be used: no '/', no control characters, no"
            " spaces around it"
        )
    known = keys.schemas.get(kind)
    if (
        known
        and known.template
        and not _STACK_NAME.fullmatch(f"{kind}_{resource_id}")
    ):
        raise InvalidInput(
            f"the id {resource_id!r} cannot be used: it is part of the stack's name,"
            " where Heat takes letters, digits, '_', '.' and '-', 255 of them at most"
        )
    return resource_id


def split(
    kind: str | None, resource_id: str | None
) -> tuple[str | None, str | None]:
    """Type and id of a command line, where ``TYPE:ID``, as every answer writes it, is both."""
    if kind is not None and resource_id is None and ":" in kind:
        kind, _, resource_id = kind.partition(":")
    return kind, resource_id


def resource(keys: Keys, kind: str, resource_id: str) -> Ref:
    """The resource that a command line names."""
    known = check_type(keys, kind)
    return Ref(known, check_id(keys, known, resource_id))


def place(store: Store, keys: Keys, ref: Ref) -> Ref:
    """The same resource, once it is known where it lies.

    :raises InvalidInput: its type's keys are made of more than the id, and there is none for it.
    """
    if not places.search(store, keys, ref):
        kind = keys.schemas.get(ref.type)
        raise InvalidInput(
            f"nothing is known of {ref}: there is no key of the form"
            f" /{kind.pattern if kind else ''}"
        )
    return ref
