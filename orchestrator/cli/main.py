"""The program ``orchestrator``: its commands, in the order in which help lists them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..settings import environment
from . import (
    changing,
    confirming,
    drifting,
    explaining,
    getting,
    graphing,
    history,
    looking,
    rollback,
    running,
    schemas,
    templates,
    types,
)
from .exits import HELP
from .output import on_terminal, printable
from .planning import command as planning
from .planning import rebuilding
from .rollouts import command as rollouts
from .session import Commands
from .usage import without_boxes
from .verbs import adopting, cancelling, draining, leaving, pausing

app = typer.Typer(
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


def main() -> None:
    """The entry point ``orchestrator``."""
    printable()
    if not on_terminal():
        without_boxes()
    app(prog_name="orchestrator")


def _show_version(wanted: bool) -> None:
    if wanted:
        running.version()
        raise typer.Exit


@app.callback()
def everywhere(
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


_RUN = "Running"
app.command(epilog=HELP, rich_help_panel=_RUN)(running.bridge)
app.command(epilog=HELP, rich_help_panel=_RUN)(running.config)
app.command("doctor", epilog=HELP, rich_help_panel=_RUN)(running.run_doctor)
app.command(rich_help_panel=_RUN)(running.version)

_CONFIG = "Wanted configuration"
app.command(epilog=HELP, rich_help_panel=_CONFIG)(changing.apply)
app.command(epilog=HELP, rich_help_panel=_CONFIG)(changing.delete)
app.command(
    "plan",
    cls=planning.ManyIds,
    epilog=planning.PLAN_HELP,
    rich_help_panel=_CONFIG,
)(planning.plan)

_LOOK = "Looking"
app.command(epilog=HELP, rich_help_panel=_LOOK)(getting.get)
app.command(epilog=HELP, rich_help_panel=_LOOK)(graphing.graph)
app.command("explain", epilog=HELP, rich_help_panel=_LOOK)(
    explaining.explain_type
)
app.command("status", epilog=HELP, rich_help_panel=_LOOK)(looking.show_status)
app.command(epilog=HELP, rich_help_panel=_LOOK)(looking.wait)
app.command("drift", epilog=HELP, rich_help_panel=_LOOK)(drifting.command)

_OPERATE = "Operating"
app.command(epilog=HELP, rich_help_panel=_OPERATE)(changing.retry)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(rebuilding.rebuild)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(pausing.pause)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(pausing.resume)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(cancelling.cancel)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(adopting.adopt)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(draining.drain)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(leaving.release)
app.command(epilog=HELP, rich_help_panel=_OPERATE)(leaving.forget)

_LEARN = "Trying and checking"
app.command(epilog=HELP, rich_help_panel=_LEARN)(running.demo)

app.command("historian", epilog=HELP, rich_help_panel=_RUN)(history.historian)
app.command("history", epilog=HELP, rich_help_panel=_LOOK)(history.command)
app.command("rollback", epilog=HELP, rich_help_panel=_CONFIG)(rollback.command)
app.add_typer(rollouts.app, name="rollout", rich_help_panel=_CONFIG)
app.add_typer(confirming.app, name="confirm", rich_help_panel=_OPERATE)
app.add_typer(schemas.app, name="schemas", rich_help_panel=_LOOK)
app.add_typer(templates.app, name="templates", rich_help_panel=_LEARN)
app.add_typer(types.app, name="types", rich_help_panel=_LEARN)
