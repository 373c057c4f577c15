"""``orchestrator templates``: check, push, list and show what is in the catalogue."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax
from rich.text import Text

from .. import settings as configuration
from ..clients import catalogue
from ..core.refs import Json, Ref
from ..core.schemas import parse_schemas
from ..core.templates import TEMPLATE_TYPE
from ..core.texts import clean
from ..errors import InvalidInput
from . import checking, writing
from .checking import Checked, Entry
from .exits import HELP, Exit
from .options import Output
from .output import BAD, FAINT, GOOD, Format, Section, as_yaml, console, count, emit, on_terminal, show
from .session import session

app = typer.Typer(
    no_args_is_help=True,
    help="The catalogue: how each type of resource becomes a Heat stack. templates/README.md says how to add one.",
    epilog=HELP,
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Names of templates; all when left out.", metavar="NAME", show_default=False)
]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Another catalogue than ORCHESTRATOR_TEMPLATES or the project's own.", show_default=False),
]


def _folder(folder: Path | None) -> Path:
    if folder is not None:
        return folder
    chosen = configuration.load().templates
    return Path(chosen) if chosen else catalogue.default_folder()


@app.command(epilog=HELP)
def check(names: Names = None, folder: Folder = None, output: Output = Format.TEXT) -> None:
    """Check every worked case of every template. Needs no server.

    Each case goes through the code that the bridge and the workers run: its mappings are evaluated, its template is rendered,
    and parameters, references, time limit and HOT are compared with what the case expects. Besides, what Heat
    would refuse is found as far as it shows without a cloud: parameters that are not declared or not given, names
    that clash or lead nowhere, outputs without a description.
    """
    root = _folder(folder)
    found = checking.check(checking.read(root), names or ())
    if output is Format.TEXT:
        show(_report(found))
    else:
        emit([_as_document(checked) for checked in found], output)
    raise typer.Exit(Exit.PROBLEM if any(checked.problems for checked in found) else Exit.OK)


def _report(found: list[Checked]) -> list[Section | Text]:
    parts: list[Section | Text] = []
    rows = [_row(checked) for checked in found if checked.entry.template or checked.entry.cases or checked.problems]
    parts.append(Section("", ("template", "parameters", "cases", "result"), rows))
    for checked in found:
        for problem in checked.problems:
            parts.append(Text.assemble((f"{_near(problem.file)}: ", "bold"), problem.text))
    problems = sum(len(checked.problems) for checked in found)
    cases = sum(len(checked.entry.cases) for checked in found)
    templates = sum(1 for checked in found if checked.entry.template)
    total = f"{count(templates, 'template')}, {count(cases, 'case')}: "
    parts.append(Text.assemble(total, (count(problems, "problem"), BAD) if problems else ("all is well", GOOD)))
    return parts


def _row(checked: Checked) -> tuple[str | Text, ...]:
    entry, problems = checked.entry, len(checked.problems)
    mappings = str(len(entry.template.mappings)) if entry.template else ""
    result = Text(count(problems, "problem"), BAD) if problems else Text("ok", GOOD)
    return entry.name, mappings, str(len(entry.cases)), result


def _near(file: Path) -> str:
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
        "problems": [{"file": str(problem.file), "problem": problem.text} for problem in checked.problems],
    }


@app.command(epilog=HELP)
def push(names: Names = None, folder: Folder = None, output: Output = Format.TEXT) -> None:
    """Write the catalogue's templates to etcd, as heat_templates documents.

    What is in etcd goes before what is in a folder, at once and on every machine. Versions are counted; what is there already
    is not written again. `orchestrator delete heat_template NAME` goes back to the folder's.
    """
    documents = catalogue.load(_folder(folder)).documents
    chosen = _chosen(list(documents), names or ())
    with session() as doors:
        put = partial(writing.put, doors.store, doors.keys)
        written = [put(Ref(TEMPLATE_TYPE, name), document) for name, document in documents.items() if name in chosen]
    if output is Format.TEXT:
        show([Section("", ("result", "template", "version"), [(w.result.value, w.ref.id, str(w.version)) for w in written])])
    else:
        emit([w.to_json() for w in written], output)


def _chosen(known: list[str], names: list[str] | tuple[()]) -> set[str]:
    if strangers := [name for name in names if name not in known]:
        raise InvalidInput(f"there is no template {strangers[0]!r}; known are {', '.join(known)}")
    return set(names or known)


@app.command("list", epilog=HELP)
def list_templates(folder: Folder = None, output: Output = Format.TEXT) -> None:
    """The types of the catalogue, and which of them are built."""
    entries = checking.read(_folder(folder))
    if output is not Format.TEXT:
        emit([_entry_document(entry) for entry in entries], output)
        return
    rows = [(entry.name, *_built(entry), str(len(entry.cases)) if entry.cases else "", _about(entry)) for entry in entries]
    show([Section("", ("type", "parameters", "jinja", "cases", "what it is"), rows)])


def _built(entry: Entry) -> tuple[str | Text, str]:
    if entry.template is None:
        return Text("not built", FAINT), ""
    names = [name for name, _ in entry.template.mappings]
    jinja = sum(name.startswith("jinja_") for name in names)
    return str(len(names) - jinja - ("heat_timeout" in names)), str(jinja) if jinja else ""


def _about(entry: Entry) -> str:
    return str(entry.schema.get("description", "")) if isinstance(entry.schema, dict) else ""


def _entry_document(entry: Entry) -> Json:
    return {
        "name": entry.name,
        "description": _about(entry),
        "built": entry.template is not None,
        "parameters": [name for name, _ in entry.template.mappings] if entry.template else [],
        "cases": [case.name for case in entry.cases],
    }


@app.command("show", epilog=HELP)
def show_template(
    name: Annotated[str, typer.Argument(help="Name of the template.")],
    case: Annotated[
        str, typer.Option("--case", help="One of its worked cases: show what Heat would be asked for it.", show_default=False)
    ] = "",
    folder: Folder = None,
    output: Output = Format.TEXT,
) -> None:
    """Show a template with its mappings; or, with --case, the parameters and the HOT that come of a worked case."""
    entries = checking.read(_folder(folder))
    entry = next((entry for entry in entries if entry.name in _chosen([e.name for e in entries], [name])), None)
    assert entry is not None
    if case:
        _show_case(entry, case, entries, output)
    else:
        _show_files(entry, output)


def _show_files(entry: Entry, output: Format) -> None:
    names = ("schema.yaml", "mapping.yaml", "template.yaml.j2")
    files = {name: (entry.folder / name).read_text(encoding="utf-8") for name in names if (entry.folder / name).exists()}
    if output is not Format.TEXT:
        emit({"name": entry.name, "folder": str(entry.folder), "cases": [c.name for c in entry.cases], "files": files}, output)
        return
    for name, text in files.items():
        _print_file(_near(entry.folder / name), text)
    if entry.cases:
        console().print(Text(f"Cases: {', '.join(c.name for c in entry.cases)}", FAINT), soft_wrap=True)


def _show_case(entry: Entry, name: str, entries: list[Entry], output: Format) -> None:
    known = {case.name: case for case in entry.cases}
    if name not in known:
        raise InvalidInput(f"{entry.name} has no case {name!r}; known are {', '.join(known) or 'none'}")
    schemas = parse_schemas([other.schema for other in entries if other.schema is not None])
    made = checking.make(entry, known[name], schemas, {other.name: other.template for other in entries if other.template})
    if made is None:
        raise InvalidInput(f"{entry.name}, case {name}: there is nothing to build")
    request = made.request
    asked = {"stack_name": request.name, "tenant": request.tenant, "timeout_mins": request.timeout_mins}
    if output is not Format.TEXT:
        emit({**asked, "parameters": dict(request.parameters), "template": request.template}, output)
        return
    _print_file("asked", as_yaml({**asked, "parameters": dict(request.parameters)}))
    _print_file("template", request.template)


def _print_file(title: str, text: str) -> None:
    target = console()
    target.print(Text(f"# {clean(title)}", "bold cyan"), soft_wrap=True)
    text = clean(text.rstrip(), keep="\n\t")
    if on_terminal():
        target.print(Syntax(text, "yaml", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        target.print(text, soft_wrap=True)
    target.print()
