"""``orchestrator templates``: check, push, list and show what is in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from .. import settings as configuration
from ..clients import catalogue, heat_types
from ..core.refs import Json, Ref
from ..core.schemas import Schemas
from ..core.templates import TEMPLATE_TYPE
from ..errors import InvalidInput
from . import (
    check_report,
    checking,
    entries,
    stored,
    template_files,
    writing,
)
from .checking import Checked
from .entries import CatalogueEntry
from .exits import HELP, Exit
from .options import Output
from .output import FAINT, Format, Section, emit, show
from .session import session

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Work with the catalogue, which says how each type of resource becomes a Heat"
        " stack: check it, write it to etcd, list it, show a template."
    ),
    epilog=HELP,
)

Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names of templates; all when left out.",
        metavar="NAME",
        show_default=False,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        help="Another catalogue than ORCHESTRATOR_TEMPLATES or the project's own.",
        show_default=False,
    ),
]


def chosen_folder(folder: Path | None) -> Path:
    """The catalogue that a command works on."""
    if folder is not None:
        return folder
    if chosen := configuration.load().templates:
        return Path(chosen)
    return catalogue.default_folder()


@app.command(epilog=HELP)
def check(
    names: Names = None,
    folder: Folder = None,
    etcd: Annotated[
        bool,
        typer.Option(
            "--etcd",
            help="Check the templates that etcd has, with the catalogue's cases.",
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Check types, mappings, templates and worked cases.
    Needs no server, unless --etcd asks for one.

    Names are those of templates, or folders: a catalogue, or one entry of a catalogue.

    Each case goes through the code that the bridge and the workers run: its mappings are evaluated,
    its template is rendered, and parameters, references, time limit and HOT are compared with what
    the case expects.
    The HOT is checked against what Heat knows of its resource types: properties, attributes,
    values, functions.
    Mappings are checked against the types: properties, relations, outputs.
    Faults are told with file and line; hints refuse nothing.
    """
    chosen_check = _check
    if etcd:
        chosen_check = _check_stored
    found = chosen_check(names or [], folder)
    if output is Format.TEXT:
        show(check_report.table(found))
    else:
        emit([check_report.as_document(checked) for checked in found], output)
    if any(checked.problems for checked in found):
        raise typer.Exit(Exit.PROBLEM)


def _check(names: list[str], folder: Path | None) -> list[Checked]:
    """What the names and the folder stand for, checked."""
    paths = [Path(name) for name in names if _is_path(name)]
    if paths and (folder is not None or len(paths) < len(names)):
        raise InvalidInput("name folders, or templates of one folder; not both")
    if not paths:
        root = chosen_folder(folder)
        return checking.check(entries.read(root), heat_types.load(root), names)
    return [checked for path in paths for checked in _check_path(path)]


def _check_stored(names: list[str], folder: Path | None) -> list[Checked]:
    """The templates of etcd."""
    root = chosen_folder(folder)
    with session() as doors:
        found, own = stored.entries(doors.store, doors.keys, entries.read(root))
    _chosen(own, names)
    if not own:
        return []
    return checking.check(found, heat_types.load(root), names or own)


def _is_path(name: str) -> bool:
    return "/" in name or name in (".", "..")


def _check_path(path: Path) -> list[Checked]:
    """A catalogue, or one entry among those beside it."""
    resolved = path.resolve()
    if entries.is_entry(resolved):
        root = resolved.parent
        return checking.check(
            entries.read(root), heat_types.load(root), [resolved.name]
        )
    return checking.check(entries.read(path), heat_types.load(path))


@app.command(epilog=HELP)
def push(
    names: Names = None,
    folder: Folder = None,
    validate: Annotated[
        bool,
        typer.Option(
            "--validate/--no-validate",
            help="Write nothing unless all that is to be written passes the check.",
        ),
    ] = True,
    output: Output = Format.TEXT,
) -> None:
    """Write the catalogue's templates to etcd, as heat_templates documents.

    They are checked first, against the types that are in force.
    What is in etcd goes before what is in a folder, at once and on every machine.
    Versions are counted; what is there already is not written again.
    `orchestrator delete heat_template NAME` goes back to the folder's.
    """
    root = chosen_folder(folder)
    documents = catalogue.load(root).documents
    chosen = _chosen(list(documents), names or ())
    with session() as doors:
        if validate:
            refuse_faulty(root, chosen, doors.keys.schemas)
        put = partial(writing.put, doors.store, doors.keys)
        written = [
            put(Ref(TEMPLATE_TYPE, name), document)
            for name, document in documents.items()
            if name in chosen
        ]
    if output is Format.TEXT:
        rows = [(w.result.value, w.ref.id, str(w.version)) for w in written]
        show([Section("", ("result", "template", "version"), rows)])
    else:
        emit([w.to_json() for w in written], output)


def refuse_faulty(root: Path, names: Iterable[str], types: Schemas) -> None:
    """
    :raises InvalidInput: the check finds something in one of these templates.
    """
    found = checking.check(
        stored.with_types(entries.read(root), types),
        heat_types.load(root),
        names,
    )
    problems = [problem for checked in found for problem in checked.problems]
    if problems:
        raise InvalidInput(
            "\n".join(
                check_report.problem_line(problem).plain for problem in problems
            )
        )


def _chosen(known: list[str], names: list[str] | tuple[()]) -> set[str]:
    if strangers := [name for name in names if name not in known]:
        raise InvalidInput(
            f"there is no template {strangers[0]!r}; known are {', '.join(known)}"
        )
    return set(names or known)


@app.command("list", epilog=HELP)
def list_templates(folder: Folder = None, output: Output = Format.TEXT) -> None:
    """List the types of the catalogue, and which of them are built."""
    found = entries.read(chosen_folder(folder))
    if output is not Format.TEXT:
        emit([_entry_document(entry) for entry in found], output)
        return
    columns = ("type", "parameters", "jinja", "cases", "what it is")
    show([Section("", columns, [_entry_row(entry) for entry in found])])


def _entry_row(entry: CatalogueEntry) -> tuple[str | Text, ...]:
    cases = _if_any(len(entry.cases))
    return entry.name, *_built(entry), cases, entry.description


def _if_any(number: int) -> str:
    """A number; nothing for 0."""
    return str(number or "")


def _built(entry: CatalogueEntry) -> tuple[str | Text, str]:
    if entry.template is None:
        return Text("not built", FAINT), ""
    names = [name for name, _ in entry.template.mappings]
    jinja = sum(name.startswith("jinja_") for name in names)
    parameters = len(names) - jinja - ("heat_timeout" in names)
    return str(parameters), _if_any(jinja)


def _entry_document(entry: CatalogueEntry) -> Json:
    parameters: list[str] = []
    if entry.template:
        parameters = [name for name, _ in entry.template.mappings]
    return {
        "name": entry.name,
        "description": entry.description,
        "built": entry.template is not None,
        "parameters": parameters,
        "cases": [case.name for case in entry.cases],
    }


@app.command("show", epilog=HELP)
def show_template(
    name: Annotated[str, typer.Argument(help="Name of the template.")],
    case: Annotated[
        str,
        typer.Option(
            "--case",
            help="One of its worked cases: show what Heat would be asked for it.",
            show_default=False,
        ),
    ] = "",
    folder: Folder = None,
    output: Output = Format.TEXT,
) -> None:
    """Show a template with its mappings; or, with --case, the parameters and the HOT that come of a
    worked case."""
    found = entries.read(chosen_folder(folder))
    _chosen([entry.name for entry in found], [name])
    entry = next(entry for entry in found if entry.name == name)
    if case:
        template_files.show_case(entry, case, found, output)
    else:
        template_files.show_files(entry, output)
