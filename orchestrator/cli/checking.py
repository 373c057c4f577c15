"""``orchestrator templates check``: every worked case of the catalogue, through the very code that bridge and workers run.

A case becomes a world of its own; :func:`orchestrator.core.planning.decide` makes the job of it and
:func:`orchestrator.core.rendering.request` what Heat would be asked, which is compared with what is expected.
No server is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clients import renderer
from ..clients.catalogue import read_yaml
from ..core import rendering
from ..core.jobs import Job
from ..core.planning import Hold, Refuse, Report, Start, decide
from ..core.refs import Json, Ref
from ..core.resources import Wanted
from ..core.schemas import Schemas, parse_schemas
from ..core.templates import Template, parse_template
from ..core.world import World
from ..errors import InvalidInput
from .documents import load_yaml

_CASE = ("description", "resource", "version", "related", "outputs", "expect")
_EXPECT = ("template", "timeout_mins", "parameters", "references", "hot", "absent")
_PSEUDO = "OS::"
"""``OS::stack_id`` and the like are parameters that every template has."""


@dataclass(frozen=True, slots=True)
class Case:
    """A worked case, as it is written."""

    file: Path
    document: Mapping[str, Json]

    @property
    def name(self) -> str:
        return self.file.stem


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder of the catalogue: a type, and the template that goes with it if there is one."""

    name: str
    folder: Path
    schema: Json = None
    template: Template | None = None
    cases: tuple[Case, ...] = ()
    faults: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be: in which file, and where in there."""

    file: Path
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One entry and what was found."""

    entry: Entry
    problems: tuple[Problem, ...]


# Reading: one bad file must not hide the others ------------------------------------------------------


def read(folder: Path) -> list[Entry]:
    """Every entry of a catalogue, with the faults of its files.

    :raises InvalidInput: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of templates")
    entries = [_read_entry(path) for path in sorted(folder.iterdir()) if _is_entry(path)]
    if not entries:
        raise InvalidInput(f"{folder}: there is no template in it: no folder with a schema.yaml or a mapping.yaml")
    return entries


def _is_entry(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("schema.yaml", "mapping.yaml", "template.yaml.j2", "cases"))


def _read_entry(folder: Path) -> Entry:
    faults: list[tuple[Path, str]] = []

    def attempt(file: Path, load: Any) -> Any:
        try:
            return load()
        except InvalidInput as error:
            faults.append((file, str(error).removeprefix(f"{file}: ")))
        except OSError as error:
            faults.append((file, error.strerror or str(error)))
        return None

    schema_file, mapping_file, text_file = folder / "schema.yaml", folder / "mapping.yaml", folder / "template.yaml.j2"
    schema = attempt(schema_file, lambda: _schema(schema_file))
    template = None
    if mapping_file.exists() or text_file.exists():
        mapping = attempt(mapping_file, lambda: read_yaml(mapping_file))
        text = attempt(text_file, lambda: text_file.read_text(encoding="utf-8"))
        if mapping is not None and text is not None:
            template = attempt(mapping_file, lambda: _template(folder.name, mapping, text))
    files = sorted((folder / "cases").glob("*.yaml"))
    cases = [Case(file, document) for file in files if (document := attempt(file, lambda f=file: _case(f))) is not None]
    return Entry(folder.name, folder, schema, template, tuple(cases), tuple(faults))


def _schema(file: Path) -> Json:
    schema = read_yaml(file)
    kind = next(iter(parse_schemas([schema])))
    if kind.fault:
        raise InvalidInput(kind.fault)
    return schema


def _template(name: str, mapping: Json, text: str) -> Template:
    if not isinstance(mapping, dict):
        raise InvalidInput("expected an object with parameter_mappings")
    return parse_template(name, {**mapping, "id": name, "template_file": text})


def _case(file: Path) -> Mapping[str, Json]:
    documents = load_yaml(file.read_text(encoding="utf-8"))
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InvalidInput("a case is one document: an object")
    case: dict[str, Json] = documents[0]
    for where, document, known in (("", case, _CASE), ("expect: ", case.get("expect"), _EXPECT)):
        if not isinstance(document, dict):
            raise InvalidInput(f"{where}expected an object")
        if strangers := [str(key) for key in document if key not in known]:
            raise InvalidInput(f"{where}unknown key {strangers[0]!r}; known are {', '.join(known)}")
    if not isinstance(case.get("resource"), dict) or not isinstance(case["resource"].get("id"), str):
        raise InvalidInput("resource: expected an object with an id")
    return case


# Checking ------------------------------------------------------------------------------------------


def check(entries: Iterable[Entry], names: Iterable[str] = ()) -> list[Checked]:
    """Every case of the entries, or of those that are named.

    :raises InvalidInput: there is no entry of a name.
    """
    listed = list(entries)
    wanted = set(names)
    if strangers := wanted - {entry.name for entry in listed}:
        raise InvalidInput(f"there is no template {min(strangers)!r}; known are {', '.join(entry.name for entry in listed)}")
    schemas = parse_schemas([entry.schema for entry in listed if entry.schema is not None])
    templates = {entry.name: entry.template for entry in listed if entry.template}
    chosen = [entry for entry in listed if not wanted or entry.name in wanted]
    return [Checked(entry, tuple(_check_entry(entry, schemas, templates))) for entry in chosen]


def _check_entry(entry: Entry, schemas: Schemas, templates: Mapping[str, Template]) -> Iterator[Problem]:
    for file, fault in entry.faults:
        yield Problem(file, fault)
    if entry.template and not entry.cases:
        yield Problem(entry.folder / "cases", "there is no worked case; write at least one for each way through the template")
    for case in entry.cases:
        for text in _check_case(entry, case, schemas, templates):
            yield Problem(case.file, text)


def _check_case(entry: Entry, case: Case, schemas: Schemas, templates: Mapping[str, Template]) -> Iterator[str]:
    expect = case.document["expect"]
    try:
        made = make(entry, case, schemas, templates)
    except InvalidInput as error:
        yield str(error)
        return
    if made is None:
        if expect.get("template") is not None:
            yield f"expect.template: {expect['template']!r} was expected, but there is nothing to build"
        return
    if expect.get("template", entry.name) != made.template.id:
        yield f"expect.template: {expect['template']!r} was expected, and {made.template.id!r} was chosen"
    if "timeout_mins" in expect and not _equal(expect["timeout_mins"], made.request.timeout_mins):
        yield f"expect.timeout_mins: {expect['timeout_mins']} was expected, not {made.request.timeout_mins}"
    if "parameters" in expect:
        yield from differences(expect["parameters"], dict(made.request.parameters), "expect.parameters", whole=True)
    if "references" in expect:
        yield from _check_references(expect["references"], made.job)
    yield from _check_hot(made, expect)


@dataclass(frozen=True, slots=True)
class Made:
    """What a case comes to: the job, and what Heat would be asked."""

    job: Job
    template: Template
    request: rendering.StackRequest


def make(entry: Entry, case: Case, schemas: Schemas, templates: Mapping[str, Template]) -> Made | None:
    """What Heat would be asked; None when there is nothing to build.

    :raises InvalidInput: the case cannot be built, with the reason that a state would have.
    """
    document = case.document
    ref = Ref(entry.name, document["resource"]["id"])
    wanted = {ref: Wanted(ref, document.get("version", 1), document["resource"])}
    for place, other in enumerate(document.get("related") or ()):
        try:
            known = Ref(other["type"], other["id"])
            wanted[known] = Wanted(known, 1, {"id": known.id, **other["body"]})
        except (KeyError, TypeError):
            raise InvalidInput(f"related[{place}]: expected {{type, id, body}}") from None
    world = World(schemas, wanted=wanted, templates=dict(templates))
    match decide(world, ref, lambda: "00000"):
        case Report():
            return None
        case Start(job, handled):
            template = templates[handled.template]
            outputs = _outputs(job, document.get("outputs") or {})
            return Made(job, template, rendering.request(job, template, outputs, renderer.shared().render))
        case Hold(held):
            raise InvalidInput(f"it would be held back: {held.reason}; add it to the case's related")
        case Refuse(failed=failed):
            raise InvalidInput(failed.error)
        case other_decision:
            raise InvalidInput(f"nothing comes of it: {other_decision}")


def _outputs(job: Job, given: Json) -> dict[Any, Json]:
    if not isinstance(given, dict):
        raise InvalidInput("outputs: expected {type: {id: {key: value}}}")
    stacks = {
        str(Ref(kind, name)): {key: {"output_key": key, "output_value": value} for key, value in outputs.items()}
        for kind, by_id in given.items()
        for name, outputs in (by_id or {}).items()
    }
    found, absent = rendering.pick_outputs(rendering.needed_outputs(job), stacks)
    if absent:
        missing = ", ".join(sorted(f"outputs.{output.ref.type}.{output.ref.id}.{output.key}" for output in absent))
        raise InvalidInput(f"{missing}: it is read, and the case does not give it")
    return found


def _check_references(expected: Json, job: Job) -> Iterator[str]:
    taken = [list(ref) for param in job.params for ref in param.references]
    if expected != taken:
        yield f"expect.references: {_short(expected)} was expected, not {_short(taken)}"


# The rendered HOT ------------------------------------------------------------------------------------


def _check_hot(made: Made, expect: Mapping[str, Json]) -> Iterator[str]:
    try:
        documents = load_yaml(made.request.template)
    except InvalidInput as error:
        yield f"the rendered template is not YAML: {error}"
        return
    hot = documents[0] if len(documents) == 1 else None
    if not isinstance(hot, dict) or "heat_template_version" not in hot:
        yield "the rendered template is not HOT: expected one object with heat_template_version"
        return
    yield from hot_faults(hot, made.request.parameters)
    yield from differences(expect.get("hot") or {}, hot, "expect.hot", whole=False)
    for path in expect.get("absent") or ():
        if _is_there(hot, path):
            yield f"expect.absent: {_path(path)} is there"


def hot_faults(hot: Mapping[str, Json], sent: Mapping[str, Json]) -> Iterator[str]:
    """What Heat would refuse in a template that is YAML, as far as it shows without a cloud."""
    parts: dict[str, Mapping[str, Json]] = {}
    for name in ("parameters", "resources", "outputs"):
        part = hot.get(name) or {}
        if not isinstance(part, dict):
            yield f"{name}: expected an object"
            return
        parts[name] = part
    declared, resources, outputs = parts["parameters"], parts["resources"], parts["outputs"]
    for name in sent:
        if name not in declared:
            yield f"parameters.{name}: it is sent, and the template does not declare it; Heat refuses it"
    for name, parameter in declared.items():
        if not isinstance(parameter, dict) or "type" not in parameter:
            yield f"parameters.{name}: it has no type"
        elif name not in sent:
            yield f"parameters.{name}: it is declared, and no mapping gives it"
        elif sent[name] is None and "default" not in parameter:
            yield f"parameters.{name}: null is sent, and there is no default; Heat refuses that"
        if name in resources:
            yield f"parameters.{name}: a resource has the same name; Heat refuses that"
    for name, resource in resources.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("type"), str):
            yield f"resources.{name}: it has no type"
    for name, output in outputs.items():
        if not isinstance(output, dict) or "value" not in output:
            yield f"outputs.{name}: it has no value"
        elif not output.get("description"):
            yield f"outputs.{name}: it has no description"
    yield from _dangling(hot, declared, resources)


def _dangling(hot: Json, declared: Mapping[str, Json], resources: Mapping[str, Json]) -> Iterator[str]:
    """Names that a template uses and does not have."""
    for path, function, argument in _functions({"resources": hot.get("resources"), "outputs": hot.get("outputs")}, ""):
        name = argument[0] if isinstance(argument, list) and argument else argument
        if not isinstance(name, str):
            continue  # Composed of other functions: only Heat can tell.
        if function == "get_param" and name not in declared and not name.startswith(_PSEUDO):
            yield f"{path}: get_param of {name!r}, which is no parameter"
        if function in ("get_resource", "get_attr") and name not in resources:
            yield f"{path}: {function} of {name!r}, which is no resource"
    for name, resource in resources.items():
        after = resource.get("depends_on") if isinstance(resource, dict) else None
        for other in after if isinstance(after, list) else [after] if after else []:
            if other not in resources:
                yield f"resources.{name}.depends_on: {other!r} is no resource"


def _functions(value: Json, path: str) -> Iterator[tuple[str, str, Json]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if len(value) == 1 and name in ("get_param", "get_resource", "get_attr"):
                yield path, name, inner
            yield from _functions(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _functions(inner, f"{path}[{place}]")


# Comparing -----------------------------------------------------------------------------------------


def differences(expected: Json, actual: Json, path: str, *, whole: bool) -> Iterator[str]:
    """Where *actual* is not what was expected.

    :param whole: whether an object may have nothing else; if not, what is given must be there and equal.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in expected.items():
            if name not in actual:
                yield f"{path}.{name}: it is not there; expected {_short(value)}"
            else:
                yield from differences(value, actual[name], f"{path}.{name}", whole=whole)
        for name in actual if whole else ():
            if name not in expected:
                yield f"{path}.{name}: {_short(actual[name])} is there and was not expected"
    elif not _equal(expected, actual):
        yield f"{path}: {_short(expected)} was expected, not {_short(actual)}"


def _equal(expected: Json, actual: Json) -> bool:
    """JSON equality: ``1`` and ``true`` differ."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(_equal(value, actual[name]) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_equal, expected, actual))
    return bool(expected == actual) and isinstance(expected, bool) == isinstance(actual, bool)


def _is_there(document: Json, path: Json) -> bool:
    for step in path if isinstance(path, list) else [path]:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _path(path: Json) -> str:
    return ".".join(map(str, path if isinstance(path, list) else [path]))


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
