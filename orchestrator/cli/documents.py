"""From files to documents: what ``apply`` and ``delete -f`` are given, parsed and checked before anything is written.

A document is ``{type, id, body}``. A file holds YAML documents, JSON documents one after the other, or lists of them.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..clients import places
from ..clients.store import Store
from ..core import resources
from ..core.keys import Keys
from ..core.refs import Json, Ref
from ..core.resources import Wanted, parse_config
from ..core.schemas import HEAT_TEMPLATES_PATH
from ..core.templates import TEMPLATE_TYPE
from ..errors import InvalidInput

STDIN = "-"
_KEYS = ("type", "id", "body")
_VALUES = 200_000
"""More values than any body within the limit of size has; stops YAML's aliases from multiplying."""
_DEPTH = 100
_STACK_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
"""What Heat takes for the name of a stack, which is made of type and id."""


@dataclass(frozen=True, slots=True)
class Document:
    """One wanted resource. *where* names the file and the document for whoever has to correct it."""

    ref: Ref
    body: dict[str, Json]
    where: str


# Reading -------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML as JSON has it: dates stay texts, and a key that is there twice is a mistake, not a choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> list[Json]:
    """All documents of a YAML text; empty ones are left out.

    :raises InvalidInput: with the line, and never with the text itself, which may hold a secret.
    """
    try:
        return [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidInput(f"{place}{error.problem or error.context or 'not YAML'}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"not YAML: {type(error).__name__}: {error}") from None


def load_json(text: str) -> list[Json]:
    """JSON documents, one after the other.

    :raises InvalidInput: with the line.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    found: list[Json] = []
    place = _skip_space(text, 0)
    while place < len(text):
        try:
            document, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
        except RecursionError:
            raise InvalidInput("nested too deep") from None
        found.append(document)
        place = _skip_space(text, place)
    return found


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidInput(f"key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return document


def parse_text(text: str, name: str) -> list[Json]:
    """The documents of one file, lists taken apart.

    :param name: of the file, for its ending and for errors.
    :raises InvalidInput: naming the file and the line.
    """
    try:
        loaded = _parse(text.removeprefix("\ufeff"), name)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None
    return [inner for document in loaded for inner in (document if isinstance(document, list) else [document])]


def _parse(text: str, name: str) -> list[Json]:
    if name.endswith((".json", ".jsonl")):
        return load_json(text)
    if text.lstrip()[:1] in ("{", "["):  # JSON for certain, or YAML that looks like it
        try:
            return load_json(text)
        except InvalidInput:
            return load_yaml(text)
    return load_yaml(text)


def read(files: Iterable[str]) -> list[tuple[str, Json]]:
    """Every document of every file, each with its place: ``service.yaml, document 3``.

    :param files: paths; ``-`` is standard input.
    :raises InvalidInput: a file cannot be read, or holds nothing.
    """
    found: list[tuple[str, Json]] = []
    for file in files:
        name = "standard input" if file == STDIN else file
        documents = parse_text(_content(file, name), name)
        if not documents:
            raise InvalidInput(f"{name}: there is no document in it")
        found += [(f"{name}, document {number}", document) for number, document in enumerate(documents, 1)]
    return found


def _content(file: str, name: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{name}: not a text in UTF-8") from None


# Checking ------------------------------------------------------------------------------------------


def check(keys: Keys, documents: Iterable[tuple[str, Json]], *, need_body: bool = True) -> list[Document]:
    """The documents, if every one of them can be used.

    :raises InvalidInput: one line for each that cannot, with its file and number.
    """
    good: list[Document] = []
    faults: list[str] = []
    seen: dict[Ref, str] = {}
    for where, raw in documents:
        try:
            document = _check(keys, where, raw, need_body)
        except InvalidInput as error:
            faults.append(f"{where}: {error}")
            continue
        if document.ref in seen:
            faults.append(f"{where}: {document.ref} is in {seen[document.ref]} already")
        seen[document.ref] = where
        good.append(document)
    if faults:
        raise InvalidInput("\n       ".join(faults))
    return good


def _check(keys: Keys, where: str, raw: Json, need_body: bool) -> Document:
    if not isinstance(raw, dict):
        raise InvalidInput("expected an object with type, id and body")
    if strangers := [str(key) for key in raw if key not in _KEYS]:
        raise InvalidInput(f"{_unknown('key', strangers[0], _KEYS)}; a document has type, id and body")
    kind = raw.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidInput("the type is missing" if kind is None else "the type should be a text")
    ref = Ref(check_type(keys, kind), check_id(keys, kind, raw.get("id")))
    if not need_body and raw.get("body") is None:
        return Document(ref, {}, where)
    return Document(ref, _body(keys, ref, raw), where)


def _body(keys: Keys, ref: Ref, raw: dict[str, Json]) -> dict[str, Json]:
    body = raw.get("body")
    if not isinstance(body, dict):
        raise InvalidInput(f"{ref}: the body is missing" if "body" not in raw else f"{ref}: the body should be an object")
    _check_json(body, ref)
    if body.get("id", ref.id) != ref.id:
        raise InvalidInput(f"{ref}: the body has another id; leave it out, it is put in")
    body = {"id": ref.id, **body}
    if kind_known := keys.schemas.get(ref.type):
        keys.place(ref, body)
        if not keys.is_placed(ref):
            raise InvalidInput(f"{ref}: its key is /{kind_known.pattern}; give each of these properties in the body")
        parsed = parse_config(keys, keys.below(keys.config, ref), value_of(body, 1).encode())
        if isinstance(parsed, Wanted) and parsed.fault:
            raise InvalidInput(parsed.fault)
    return body


def value_of(body: dict[str, Json], version: int, *, marked: bool = False) -> str:
    """The value below ``/config``, as the API server writes it: the body is JSON inside a text."""
    return json.dumps({"body": json.dumps(body), "version": version, "marked_for_deletion": marked})


def _check_json(body: Json, ref: Ref) -> None:
    """Whether the body can be said in JSON, and is no larger than the bridge takes."""
    left = _VALUES

    def walk(value: Json, path: str, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEPTH:
            raise InvalidInput(f"{ref}: the body is too large or nested too deep; the limit is {resources.SIZE_LIMIT // 1024} KiB")
        if isinstance(value, dict):
            for name, inner in value.items():
                if not isinstance(name, str):
                    told = "yes, no, on or off" if isinstance(name, bool) else repr(name)
                    raise InvalidInput(f"{ref}: {path}: key {told} should be a text; put it in quotes")
                walk(inner, f"{path}.{name}", depth + 1)
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                walk(inner, f"{path}[{place}]", depth + 1)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidInput(f"{ref}: {path}: JSON has no such number")
        elif value is not None and not isinstance(value, (str, int, float)):
            raise InvalidInput(f"{ref}: {path}: JSON has no value of this kind ({type(value).__name__})")

    walk(body, "body", 0)


# Names that people type ----------------------------------------------------------------------------


def check_type(keys: Keys, kind: str) -> str:
    """The type's id; its plural, or its path below the config, will do too.

    :raises InvalidInput: with the names that come near.
    """
    names = {known.id: known.id for known in keys.schemas} | {TEMPLATE_TYPE: TEMPLATE_TYPE}
    paths = {known.path.rpartition("/")[2]: known.id for known in keys.schemas} | {known.path: known.id for known in keys.schemas}
    found = names.get(kind) or paths.get(kind.strip("/"))
    if found is None:
        raise InvalidInput(_unknown("type", kind, sorted(names)))
    return found


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(listed)}"
    return f"unknown {what} {name!r}; {meant}"


def check_id(keys: Keys, kind: str, resource_id: Json) -> str:
    """An id that can be a key, and the end of a stack's name where there is a stack.

    :raises InvalidInput: it cannot.
    """
    if resource_id is None or resource_id == "":
        raise InvalidInput("the id is missing")
    if not isinstance(resource_id, str):
        raise InvalidInput(f"the id should be a text; put it in quotes: {resource_id!r}")
    if "/" in resource_id or not resource_id.isprintable() or resource_id != resource_id.strip():
        raise InvalidInput(f"the id {resource_id!r} cannot be used: no '/', no control characters, no spaces around it")
    known = keys.schemas.get(kind)
    if known and known.template and not _STACK_NAME.fullmatch(f"{kind}_{resource_id}"):
        raise InvalidInput(
            f"the id {resource_id!r} cannot be used: it is part of the stack's name, where Heat takes "
            "letters, digits, '_', '.' and '-', 255 of them at most"
        )
    return resource_id


def split(kind: str | None, resource_id: str | None) -> tuple[str | None, str | None]:
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
        raise InvalidInput(f"nothing is known of {ref}: there is no key of the form /{kind.pattern if kind else ''}")
    return ref


def config_key(keys: Keys, ref: Ref) -> str:
    """Where the wanted configuration lies; templates have their place even when the schema list does not name them."""
    if keys.schemas.get(ref.type) is None and ref.type == TEMPLATE_TYPE:
        return f"{keys.config}{HEAT_TEMPLATES_PATH}/{ref.id}"
    return keys.below(keys.config, ref)
