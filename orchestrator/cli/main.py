"""The entry point ``orchestrator``.

A bridge that starts imports no other command: a new leader begins half a second of CPU time sooner
(docs/performance.md, "A restart").
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from . import bridging
from .exits import HELP
from .output import on_terminal, printable
from .program import RUNNING, new_program
from .usage import without_boxes

_BRIDGE = "bridge"


def main() -> None:
    """Run the command that the arguments of the process name."""
    printable()
    if not on_terminal():
        without_boxes()
    program = program_for(sys.argv[1:])
    program(prog_name="orchestrator")


def program_for(arguments: Sequence[str]) -> typer.Typer:
    """The program with the command that is asked for, at least."""
    if _BRIDGE not in arguments[:1]:
        commands: typer.Typer = import_module(".commands", __package__).app
        return commands
    program = new_program()
    program.command(_BRIDGE, epilog=HELP, rich_help_panel=RUNNING)(
        bridging.bridge
    )
    return program
