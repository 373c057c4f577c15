"""``orchestrator templates``: check, push, list and show what is in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax
from rich.text import Text

from .. import settings as configuration
from ..clients import catalogue, heat_types
from ..core.refs import Json, Ref
from ..core.schemas import Schemas
from ..core.templates import TEMPLATE_TYPE
from ..core.texts import clean
from ..errors import InvalidInput
from . import cases, checking, entries, stored, writing
from .checking import Checked
from .entries import Entry, Problem
from .exits import HELP, Exit
from .options import Output
from .output import (
    BAD,
    DOUBT,
    FAINT,
    GOOD,
    Format,
    Section,
    as_yaml,
    console,
    count,
    emit,
    on_terminal,
    show,
)
from .session import session

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "The catalogue: how each type of resource becomes a Heat stack."
        " templates/README.md says how to add one."
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
    chosen = configuration.load().templates
    return Path(chosen) if chosen else catalogue.default_folder()


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
    found = (
        _check_stored(names or [], folder)
        if etcd
        else _check(names or [], folder)
    )
    if output is Format.TEXT:
        show(_report(found))
    else:
        emit([_as_document(checked) for checked in found], output)
    raise typer.Exit(
        Exit.PROBLEM if any(checked.problems for checked in found) else Exit.OK
    )


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
    return (
        checking.check(found, heat_types.load(root), names or own)
        if own
        else []
    )


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


def _report(found: list[Checked]) -> list[Section | Text]:
    parts: list[Section | Text] = []
    rows = [
        _row(checked)
        for checked in found
        if checked.entry.template or checked.entry.cases or checked.problems
    ]
    parts.append(
        Section("", ("template", "parameters", "cases", "result"), rows)
    )
    parts += [
        problem_line(problem)
        for checked in found
        for problem in checked.problems
    ]
    parts += [problem_line(hint) for checked in found for hint in checked.hints]
    problems = sum(len(checked.problems) for checked in found)
    cases = sum(len(checked.entry.cases) for checked in found)
    templates = sum(1 for checked in found if checked.entry.template)
    total = f"{count(templates, 'template')}, {count(cases, 'case')}: "
    parts.append(
        Text.assemble(
            total,
            (count(problems, "problem"), BAD)
            if problems
            else ("all is well", GOOD),
        )
    )
    return parts


def problem_line(problem: Problem) -> Text:
    """``templates/port/mapping.yaml:7: …``, as compilers write it, so that editors find it."""
    place = (
        f"{shown_path(problem.file)}:{problem.line}: "
        if problem.line
        else f"{shown_path(problem.file)}: "
    )
    return Text.assemble(
        (place, "bold"), ("hint: ", DOUBT) if problem.hint else "", problem.text
    )


def _row(checked: Checked) -> tuple[str | Text, ...]:
    entry, problems = checked.entry, len(checked.problems)
    mappings = str(len(entry.template.mappings)) if entry.template else ""
    result = (
        Text(count(problems, "problem"), BAD) if problems else Text("ok", GOOD)
    )
    return entry.name, mappings, str(len(entry.cases)), result


def shown_path(file: Path) -> str:
    """The path as short as it can be written from here."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def _as_document(checked: Checked) -> Json:
    entry = checked.entry
    return {
        "name": entry.name,
        "template": entry.template is not None,
        "cases": [case.name for case in entry.cases],
        "problems": [
            _problem_document(problem) for problem in checked.problems
        ],
        "hints": [_problem_document(hint) for hint in checked.hints],
    }


def _problem_document(problem: Problem) -> Json:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "problem": problem.text,
    }


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
            _refuse_faulty(root, chosen, doors.keys.schemas)
        put = partial(writing.put, doors.store, doors.keys)
        written = [
            put(Ref(TEMPLATE_TYPE, name), document)
            for name, document in documents.items()
            if name in chosen
        ]
    if output is Format.TEXT:
        show(
            [
                Section(
                    "",
                    ("result", "template", "version"),
                    [
                        (w.result.value, w.ref.id, str(w.version))
                        for w in written
                    ],
                )
            ]
        )
    else:
        emit([w.to_json() for w in written], output)


def _refuse_faulty(root: Path, names: Iterable[str], types: Schemas) -> None:
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
            "\n".join(problem_line(problem).plain for problem in problems)
        )


def _chosen(known: list[str], names: list[str] | tuple[()]) -> set[str]:
    if strangers := [name for name in names if name not in known]:
        raise InvalidInput(
            f"there is no template {strangers[0]!r}; known are {', '.join(known)}"
        )
    return set(names or known)


@app.command("list", epilog=HELP)
def list_templates(folder: Folder = None, output: Output = Format.TEXT) -> None:
    """The types of the catalogue, and which of them are built."""
    found = entries.read(chosen_folder(folder))
    if output is not Format.TEXT:
        emit([_entry_document(entry) for entry in found], output)
        return
    rows = [
        (
            entry.name,
            *_built(entry),
            str(len(entry.cases)) if entry.cases else "",
            entry.description,
        )
        for entry in found
    ]
    show(
        [
            Section(
                "", ("type", "parameters", "jinja", "cases", "what it is"), rows
            )
        ]
    )


def _built(entry: Entry) -> tuple[str | Text, str]:
    if entry.template is None:
        return Text("not built", FAINT), ""
    names = [name for name, _ in entry.template.mappings]
    jinja = sum(name.startswith("jinja_") for name in names)
    return str(len(names) - jinja - ("heat_timeout" in names)), (
        str(jinja) if jinja else ""
    )


def _entry_document(entry: Entry) -> Json:
    return {
        "name": entry.name,
        "description": entry.description,
        "built": entry.template is not None,
        "parameters": (
            [name for name, _ in entry.template.mappings]
            if entry.template
            else []
        ),
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
    entry = next(
        (
            entry
            for entry in found
            if entry.name in _chosen([e.name for e in found], [name])
        ),
        None,
    )
    assert entry is not None
    if case:
        _show_case(entry, case, found, output)
    else:
        _show_files(entry, output)


def _show_files(entry: Entry, output: Format) -> None:
    names = (entries.SCHEMA, entries.MAPPING, entries.TEMPLATE)
    files = {
        name: (entry.folder / name).read_text(encoding="utf-8")
        for name in names
        if (entry.folder / name).exists()
    }
    if output is not Format.TEXT:
        emit(
            {
                "name": entry.name,
                "folder": str(entry.folder),
                "cases": [c.name for c in entry.cases],
                "files": files,
            },
            output,
        )
        return
    for name, text in files.items():
        _print_file(shown_path(entry.folder / name), text)
    if entry.cases:
        console().print(
            Text(f"Cases: {', '.join(c.name for c in entry.cases)}", FAINT),
            soft_wrap=True,
        )


def _show_case(
    entry: Entry, name: str, found: list[Entry], output: Format
) -> None:
    known = {case.name: case for case in entry.cases}
    if name not in known:
        raise InvalidInput(
            f"{entry.name} has no case {name!r}; known are {', '.join(known) or 'none'}"
        )
    schemas = Schemas([other.kind for other in found if other.kind is not None])
    made = cases.make(
        entry.name,
        known[name],
        schemas,
        {other.name: other.template for other in found if other.template},
    )
    if made is None:
        raise InvalidInput(
            f"{entry.name}, case {name}: there is nothing to build"
        )
    request = made.request
    asked = {
        "stack_name": request.name,
        "tenant": request.tenant,
        "timeout_mins": request.timeout_mins,
    }
    if output is not Format.TEXT:
        emit(
            {
                **asked,
                "parameters": dict(request.parameters),
                "template": request.template,
            },
            output,
        )
        return
    _print_file(
        "asked", as_yaml({**asked, "parameters": dict(request.parameters)})
    )
    _print_file("template", request.template)


def _print_file(title: str, text: str) -> None:
    target = console()
    target.print(Text(f"# {clean(title)}", "bold cyan"), soft_wrap=True)
    text = clean(text.rstrip(), keep="\n\t")
    if on_terminal():
        target.print(
            Syntax(
                text,
                "yaml",
                theme="ansi_dark",
                background_color="default",
                word_wrap=True,
            )
        )
    else:
        target.print(text, soft_wrap=True)
    target.print()
