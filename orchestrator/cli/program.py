"""The program ``orchestrator`` before it has commands: what holds for every one of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..settings import environment
from .exits import HELP
from .session import Commands

RUNNING = "Running"
"""The heading of help above the commands that run the orchestrator."""


def new_program() -> typer.Typer:
    """The program without commands."""
    program = typer.Typer(
        name="orchestrator",
        cls=Commands,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        help=(
            "Turn wanted configuration in etcd into OpenStack Heat stacks, and write their"
            " outcome back."
        ),
        epilog=HELP,
    )
    program.callback()(_everywhere)
    return program


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _everywhere(
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            help=(
                "Read settings from this file instead of .env, as ORCHESTRATOR_ENV_FILE"
                " does."
            ),
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """What holds for every command."""
    if env_file is not None:
        os.environ[environment.ENV_FILE] = str(env_file)
