"""``orchestrator templates show``: the files of an entry, or what Heat is asked for a case."""

from __future__ import annotations

from collections.abc import Sequence

from rich.syntax import Syntax
from rich.text import Text

from ..core.schemas import Schemas
from ..core.texts import clean
from ..errors import InvalidInput
from . import cases, entries
from .check_report import shown_path
from .entries import CatalogueEntry
from .output import FAINT, Format, as_yaml, console, emit, on_terminal


def show_files(entry: CatalogueEntry, output: Format) -> None:
    """Type, mappings and template of an entry, and the names of its cases."""
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


def show_case(
    entry: CatalogueEntry,
    name: str,
    found: Sequence[CatalogueEntry],
    output: Format,
) -> None:
    """What Heat would be asked for one of an entry's cases.

    :param found: all entries: the case may need others.
    :raises InvalidInput: there is no such case, or nothing to build in it.
    """
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
