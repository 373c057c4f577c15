"""Makes faults in a catalogue, one at a time: the slips of whoever writes templates, mappings and types.

Each operator takes one file's text and gives mutants of it, every one of them a fault: something that Heat
or the orchestrator would refuse, or that would build something else. What changes nothing, such as another name for
an output that nobody reads, is left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A catalogue with one fault: *file*, relative to the catalogue, has *text* instead. *line* is where the fault is."""

    operator: str
    file: str
    line: int
    text: str
    was: str

    def __str__(self) -> str:
        now = (
            self.text.split("\n")[self.line - 1].strip()
            if self.line <= self.text.count("\n") + 1
            else ""
        )
        return f"{self.operator}: {self.file}:{self.line}: {self.was.strip()!r} → {now!r}"


Operator = Callable[[str, random.Random], Iterator[tuple[int, str]]]
"""From a text to pairs: the line of a fault, and the whole text with it."""


def mutants(folder: Path, seed: int, most: int) -> list[Mutant]:
    """Faults in every file of the catalogue, spread evenly over the operators.

    :param most: of each operator, at the most.
    """
    found: list[Mutant] = []
    for name, (pattern, operator) in sorted(_operators(_used(folder)).items()):
        chance = random.Random(f"{seed} {name}")
        own: list[Mutant] = []
        for file in sorted(folder.glob(pattern)):
            text = file.read_text(encoding="utf-8")
            lines = text.split("\n")
            for line, changed in operator(text, chance):
                if changed != text:
                    own.append(
                        Mutant(name, str(file.relative_to(folder)), line, changed, lines[line - 1])
                    )
        chance.shuffle(own)
        found += own[:most]
    return found


def misspelt(word: str, chance: random.Random) -> str:
    """The word with one slip of a finger: a letter twice, missing, another one, or two in the wrong order."""
    while True:
        place = chance.randrange(1, len(word)) if len(word) > 1 else 0
        slip = chance.choice(("twice", "missing", "other", "order"))
        if slip == "twice":
            made = word[:place] + word[place] + word[place:]
        elif slip == "missing" and len(word) > 2:
            made = word[:place] + word[place + 1 :]
        elif slip == "order" and place:
            made = word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]
        else:
            made = word[:place] + chance.choice(LETTERS) + word[place + 1 :]
        if made not in (word, ""):
            return made


# What is used, so that a fault is one ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Used:
    """Names whose change somebody notices: outputs that mappings read, by type, and properties that they or cases name."""

    outputs: frozenset[tuple[str, str]]
    properties: frozenset[str]


def _used(folder: Path) -> _Used:
    outputs: set[tuple[str, str]] = set()
    properties: set[str] = set()
    for file in folder.glob("*/mapping.yaml"):
        text = file.read_text(encoding="utf-8")
        for path, key in re.findall(r"\bM([\w:]+):(\w+)", text):
            outputs.add((path.split(":")[-2], key))
        for kind, key in re.findall(r"type: (\w+), id: [^}]*}\], output_key: (\w+)", text):
            outputs.add((kind, key))
        properties.update(re.findall(r"\bP(\w+)", text))
        properties.update(re.findall(r"\+(\w+)", text))
    return _Used(frozenset(outputs), frozenset(properties))


# Operators -----------------------------------------------------------------------------------------


def _words(
    pattern: str, *, section: str = "", keep: Callable[[re.Match[str]], bool] = lambda match: True
) -> Operator:
    """Misspells the first group of each match of *pattern*, line by line, inside a top-level *section* if one is given."""

    def operate(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
        lines = text.split("\n")
        inside = ""
        for number, line in enumerate(lines):
            if found := re.match(r"(\w+):", line):
                inside = found[1]
            if section and inside != section:
                continue
            for match in re.finditer(pattern, line):
                if not line.lstrip().startswith("#") and keep(match):
                    start, end = match.span(1)
                    changed = line[:start] + misspelt(match[1], chance) + line[end:]
                    yield number + 1, "\n".join([*lines[:number], changed, *lines[number + 1 :]])

    return operate


def _replaced(
    pattern: str, new: str | Callable[[re.Match[str]], str], *, section: str = ""
) -> Operator:
    """Replaces each match of *pattern*, one at a time; an empty text removes the whole line."""

    def operate(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
        lines = text.split("\n")
        inside = ""
        for number, line in enumerate(lines):
            if found := re.match(r"(\w+):", line):
                inside = found[1]
            if section and inside != section:
                continue
            for match in re.finditer(pattern, line):
                changed = (
                    line[: match.start()]
                    + (new if isinstance(new, str) else new(match))
                    + line[match.end() :]
                )
                rest = [changed] if changed.strip() or new else []
                yield number + 1, "\n".join([*lines[:number], *rest, *lines[number + 1 :]])

    return operate


def _indented(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
    """One space too many, on a line that follows one at its own level: YAML then has no place for it."""
    lines = text.split("\n")
    for number in range(1, len(lines)):
        before, line = lines[number - 1], lines[number]
        depth = len(line) - len(line.lstrip())
        level = depth and depth == len(before) - len(before.lstrip())
        if (
            level
            and re.match(r"\s+\w+: ", line)
            and re.match(r"\s+\w+: \S", before)
            and "{%" not in before
        ):
            yield number + 1, "\n".join([*lines[:number], " " + line, *lines[number + 1 :]])


def _operators(used: _Used) -> dict[str, tuple[str, Operator]]:
    templates, mappings, schemas = "*/template.yaml.j2", "*/mapping.yaml", "*/schema.yaml"
    return {
        # Templates.
        "property of Heat misspelt": (
            templates,
            _words(r"^ {6}(\w{3,}): (?=.)", section="resources"),
        ),
        "nested property of Heat misspelt": (
            templates,
            _words(
                r"^ {8,}(?:- )?(\w{3,}): \{ get_param", section="resources", keep=lambda m: True
            ),
        ),
        "type of Heat misspelt": (templates, _words(r"type: OS::\w+::(\w+)")),
        "service of Heat misspelt": (templates, _words(r"type: OS::(\w+)::")),
        "get_param misspelt": (templates, _words(r"\{ (get_param): ")),
        "get_attr misspelt": (templates, _words(r"\{ (get_attr): ")),
        "get_resource misspelt": (templates, _words(r"\{ (get_resource): ")),
        "name of a parameter misspelt": (templates, _words(r"get_param: \[?(\w{2,})")),
        "name of a resource misspelt": (
            templates,
            _words(r"(?:get_resource: |get_attr: \[)(\w{2,})"),
        ),
        "attribute misspelt": (templates, _words(r"get_attr: \[\w+, (\w{2,})")),
        "declared parameter misspelt": (templates, _words(r"^  (\w{3,}):$", section="parameters")),
        "type of a parameter misspelt": (
            templates,
            _words(r"^    type: (\w+)", section="parameters"),
        ),
        "type of a parameter removed": (
            templates,
            _replaced(r"^    type: \w+$", "", section="parameters"),
        ),
        "constraint misspelt": (templates, _words(r"^      - (\w+):", section="parameters")),
        "range misspelt": (templates, _words(r"range: \{ (\w+):", section="parameters")),
        "word of a parameter misspelt": (
            templates,
            _words(r"^    (type|default|hidden|constraints):", section="parameters"),
        ),
        "default of another type": (
            templates,
            _replaced(r"default: (true|false|[0-9]+)$", "default: [x]", section="parameters"),
        ),
        "default removed": (templates, _replaced(r"^    default: .*$", "", section="parameters")),
        "resource's word misspelt": (
            templates,
            _words(r"^    (type|properties|depends_on):", section="resources"),
        ),
        "output's word misspelt": (templates, _words(r"^    (value):", section="outputs")),
        "section misspelt": (templates, _words(r"^(parameters|resources|outputs):$")),
        "version that is none": (templates, _replaced(r"2018-08-31", "2018-08-13")),
        "version too old": (
            templates,
            _replaced(r"(?<=heat_template_version: )2018-08-31", "2018-31-08"),
        ),
        "list instead of a value": (
            templates,
            _replaced(
                r"(?<=: )\{ get_param: (?!\[)(\w+) \}$",
                lambda m: f"[{m[0]}, x]",
                section="resources",
            ),
        ),
        "object instead of a value": (
            templates,
            _replaced(
                r"(?<=: )\{ get_resource: (\w+) \}$",
                lambda m: f"{{ id: {m[0]}, a: b }}",
                section="resources",
            ),
        ),
        "template's part misspelt": (templates, _words(r"^ +(template|params|for_each):")),
        "variable misspelt": (templates, _words(r"\{[{%][^%}]*\b(jinja_\w+)")),
        "end of a block misspelt": (templates, _words(r"\{% (endif|endfor) %\}")),
        "end of a block missing": (templates, _replaced(r"^\{% (endif|endfor) %\}$", "")),
        "brace of Jinja2 missing": (templates, _replaced(r" %\}$", " %")),
        "brace of YAML missing": (templates, _replaced(r"(?<=[^%}]) \}$", "")),
        "colon missing": (
            templates,
            _replaced(r"^(      \w+):(?= )", lambda m: m[1], section="resources"),
        ),
        "indentation": (templates, _indented),
        "resource like a parameter": (templates, _resource_like_parameter),
        "required property removed": (templates, _required_removed),
        # Mappings.
        "letter of a mapping": (mappings, _replaced(r"(?<=: )[PMFCV](?=[a-z0-9])", "Q")),
        "mapping's property misspelt": (mappings, _words(r": P(\w{3,})")),
        "mapping's type misspelt": (mappings, _words(r": [FM](\w{3,})[+:]")),
        "mapping's hop misspelt": (mappings, _words(r"(?:\+|: M\w+:)(\w{3,}):")),
        "mapping's field misspelt": (mappings, _words(r": F[\w+]+:(\w{3,})")),
        "mapping's output misspelt": (mappings, _words(r": M[\w:]+:(\w{2,})$")),
        "mapping's parameter misspelt": (mappings, _words(r"^  (?!jinja_|heat_)(\w{3,}):")),
        "mapping's variable misspelt": (mappings, _words(r"^  (jinja_(?!force)\w+):")),
        "heat_timeout misspelt": (mappings, _words(r"^  (heat_timeout):", keep=lambda m: True)),
        "heat_timeout no number": (mappings, _replaced(r"(?<=heat_timeout: )C\d+", "Cten")),
        "mapping removed": (mappings, _replaced(r"^  (?!jinja_|heat_)\w+: [PMF]\w.*$", "")),
        "mapping of a variable removed": (
            mappings,
            _replaced(r"^  jinja_(?!force)\w+: [PMF]\w.*$", ""),
        ),
        "word of a mapping misspelt": (
            mappings,
            _words(r"\b(for_field|for_mapping|output_key|if_mapping|then_mapping|path|field):"),
        ),
        "type of a hop misspelt": (mappings, _words(r"type: (\w{3,})")),
        "property of a hop misspelt": (mappings, _words(r"\bid: (\w{3,})")),
        "plus of a mapping missing": (mappings, _replaced(r"(?<=: F)(\w+)\+", lambda m: m[1])),
        "parameter_mappings misspelt": (mappings, _words(r"^(parameter_mappings):")),
        "handler misspelt": (mappings, _words(r"^handler: (\w+)")),
        # Types.
        "property of a type misspelt": (
            schemas,
            _words(r"^    (\w{3,}):", section="schema", keep=lambda m: m[1] in used.properties),
        ),
        "relation misspelt": (schemas, _words(r"relation: (\w+)", keep=lambda m: m[1] != "tenant")),
        "word of a schema misspelt": (
            schemas,
            _words(r"\b(type|relation|enum|required|minimum|properties|items|default):"),
        ),
        "type of JSON misspelt": (
            schemas,
            _words(r"type: \[?(string|integer|boolean|array|object)"),
        ),
        "another type of JSON": (schemas, _another_type),
        "required property misspelt": (schemas, _words(r"^  required: \[(\w+)")),
        "template of a type misspelt": (schemas, _words(r"template_path: C(\w+)")),
        "letter of a type's template": (schemas, _replaced(r"(?<=template_path: )C", "K")),
        "id of a type misspelt": (schemas, _words(r"^id: (\w+)")),
        "metadata's word misspelt": (schemas, _words(r"^  (state_versioning|template_path):")),
        "word of a type misspelt": (
            schemas,
            _words(r"^(id|prefix|schema|metadata|singular|plural):"),
        ),
        "default that does not fit": (schemas, _replaced(r"(?<=default: )(true|false|\d+)", "[]")),
        "range of nothing": (schemas, _replaced(r"(?<=minimum: )\d+", "one")),
        "key twice": (schemas, _twice),
    }


def _resource_like_parameter(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
    """A resource that is called like a parameter, everywhere in the text."""
    lines = text.split("\n")
    parameters = re.findall(r"^  (\w+):$", text.partition("\nresources:")[0], re.M)
    resources = re.findall(
        r"^  (\w+):$", text.partition("\nresources:")[2].partition("\noutputs:")[0], re.M
    )
    for resource in resources[:1]:
        if "network" not in resource and parameters:
            name = chance.choice(parameters)
            line = next(
                number for number, content in enumerate(lines, 1) if content == f"  {resource}:"
            )
            changed = re.sub(rf"(get_resource: |get_attr: \[){resource}\b", rf"\g<1>{name}", text)
            yield line, re.sub(rf"^  {resource}:$", f"  {name}:", changed, count=0, flags=re.M)


_REQUIRED = {
    "OS::Neutron::Port": "network",
    "OS::Neutron::Subnet": "network",
    "OS::Neutron::FloatingIP": "floating_network",
    "OS::Octavia::Listener": "protocol_port",
    "OS::Octavia::Pool": "protocol",
    "OS::Octavia::LoadBalancer": "vip_subnet",
    "OS::Octavia::PoolMember": "address",
    "OS::Octavia::HealthMonitor": "delay",
    "OS::Nova::Server": "flavor",
    "OS::Neutron::RouterInterface": "router",
    "OS::Neutron::ExtraRouteSet": "router",
    "OS::Neutron::VPNService": "router",
    "OS::Neutron::QoSBandwidthLimitRule": "max_kbps",
    "OS::Neutron::QoSDscpMarkingRule": "dscp_mark",
}
"""One property of each type without which Heat refuses it."""


def _required_removed(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
    lines = text.split("\n")
    kind = ""
    for number, line in enumerate(lines):
        if found := re.match(r"    type: (\S+)", line):
            kind = found[1]
        if kind in _REQUIRED and re.match(rf"      {_REQUIRED[kind]}: \S", line):
            yield number + 1, "\n".join([*lines[:number], *lines[number + 1 :]])


def _another_type(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
    """A property with the type of another one, where a case of the catalogue gives a value for it."""
    if "template_path" not in text:
        return  # Nothing is built of it, so it has no case.
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if match := re.search(
            r"^    (?:tenant_id|network_id|cidr|name|router_id|vip_subnet_id|port_ids): \{type: (string)",
            line,
        ):
            changed = line[: match.start(1)] + "boolean" + line[match.end(1) :]
            yield number + 1, "\n".join([*lines[:number], changed, *lines[number + 1 :]])


def _twice(text: str, chance: random.Random) -> Iterator[tuple[int, str]]:
    """A property that is there twice."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if re.match(r"    \w+: \{.*\}$", line):
            yield number + 2, "\n".join([*lines[: number + 1], line, *lines[number + 1 :]])
