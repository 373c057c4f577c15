"""``orchestrator types``: begin a new type of resource in a catalogue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ..clients import catalogue, heat_types
from ..core.refs import Json
from ..errors import InvalidInput
from . import checking, entries
from .check_report import problem_line, shown_path
from .entries import CASES, MAPPING, SCHEMA, TEMPLATE
from .exits import HELP, Exit
from .options import Output
from .output import GOOD, Format, emit, show
from .templates import Folder, chosen_folder

app = typer.Typer(
    no_args_is_help=True,
    help="Begin a new type of resource.",
    epilog=HELP,
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@app.callback()
def group() -> None:
    """Keeps ``types`` a group of commands while there is only one."""


@app.command(epilog=HELP)
def new(
    name: Annotated[
        str, typer.Argument(help="The type's id, such as disk.", metavar="NAME")
    ],
    folder: Folder = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a folder for a new type: its schema, mappings, template and a worked case, all of which
    pass the check.

    What they build is a placeholder; templates/README.md says how to go on.
    """
    root = _root(folder)
    entry = root / name
    _check_name(name, entry)
    written = [
        _write(entry / file, text) for file, text in files_of(name).items()
    ]
    found = checking.check(entries.read(root), heat_types.load(root), [name])
    problems = [
        problem
        for checked in found
        for problem in (*checked.problems, *checked.hints)
    ]
    if output is Format.TEXT:
        lines = [
            Text.assemble(("created", GOOD), f" {shown_path(file)}")
            for file in written
        ]
        check = (
            "Next: edit them, then `orchestrator templates check"
            f" {name}{_option(folder)}`."
        )
        show([*lines, *map(problem_line, problems), Text(check)])
    else:
        document: Json = {
            "name": name,
            "files": [str(file) for file in written],
            "problems": [p.text for p in problems],
        }
        emit(document, output)
    if problems:
        raise typer.Exit(Exit.PROBLEM)


def _root(folder: Path | None) -> Path:
    root = chosen_folder(folder)
    if catalogue.is_installed(root):
        raise InvalidInput(
            f"{root} belongs to the installation; name a folder of your own with"
            " --folder or ORCHESTRATOR_TEMPLATES"
        )
    return root


def _check_name(name: str, entry: Path) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"the name {name!r} cannot be used: it begins with a small letter; then"
            " letters, digits and '_'"
        )
    if entry.exists():
        raise InvalidInput(f"{entry} is there already")


def _option(folder: Path | None) -> str:
    if folder:
        return f" --folder {folder}"
    return ""


def _write(file: Path, text: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror or error}") from None
    return file


# What is written ----------------------------------------------------------------------------------


def files_of(name: str) -> dict[str, str]:
    """The files of a new type, by their names inside its folder."""
    words = {
        "NAME": name,
        "PLURAL": _plural(name),
        "TITLE": name.replace("_", " ").capitalize(),
    }
    return {
        SCHEMA: _filled(_SCHEMA, words),
        MAPPING: _filled(_MAPPING, words),
        TEMPLATE: _filled(_TEMPLATE, words),
        f"{CASES}/plain.yaml": _filled(_CASE, words),
    }


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(words), lambda match: words[match[0]], text)


def _plural(name: str) -> str:
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    return f"{name}s"


_SCHEMA = """\
id: NAME
singular: NAME
plural: PLURAL
prefix: /v2.0/PLURAL
title: TITLE
description: Say in one sentence what it is.
metadata:
  state_versioning: true
  template_path: CNAME
schema:
  type: object
  properties:
    id: {type: string, title: ID, description: Unique id.}
    tenant_id: {type: string, title: Tenant, description: The OpenStack project., relation: tenant}
    name: {type: string, title: Name, description: What the cloud shows; need not be unique.}
    # A property that holds the id of another resource says so:
    # network_id: {type: string, title: Network, description: Where it is., relation: network}
  required: [tenant_id]
"""

_MAPPING = """\
handler: heat_worker
watch: []
parameter_mappings:
  # Minutes that Heat has for the stack.
  heat_timeout: C5
  # What to do with a stack in a failed state: repair it, replace it, or hold it for a person.
  heat_on_failure: Crepair
  # How often to ask again after Heat has failed the stack.
  heat_retries: C0
  name: Pname
  # An output of another resource's stack: the NAME is then built after it.
  # network: Mnetwork:network_id:id
"""

_TEMPLATE = """\
heat_template_version: 2018-08-31

description: Say in one sentence what is built.

parameters:
  name:
    type: string
    description: What the cloud shows; need not be unique.
    default: ""

resources:
  # A placeholder that every Heat has. Put the real type here, such as OS::Neutron::Net.
  NAME:
    type: OS::Heat::Value
    properties:
      type: string
      value: { get_param: name }

outputs:
  id:
    description: The cloud's id.
    value: { get_resource: NAME }
  name:
    description: Its name.
    value: { get_attr: [NAME, value] }
"""

_CASE = """\
description: Say what one learns from the case.
resource: {id: NAME-1, tenant_id: acme, name: first}
version: 1
expect:
  template: NAME
  timeout_mins: 5
  parameters: {name: first}
  references: []
  outputs: [id, name]
  hot:
    resources:
      NAME: {properties: {value: {get_param: name}}}
"""
