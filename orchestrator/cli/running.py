"""The commands that tell how the orchestrator would run here, and the demo."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__, log
from .. import settings as configuration
from ..errors import InvalidInput
from . import settings_view
from .exits import Exit
from .options import Output
from .output import Format, emit, show


def config(output: Output = Format.TEXT) -> None:
    """Show the effective settings, where each of them comes from, and the OpenStack variables.
    Passwords are masked.

    Settings come from the environment, from the file that --env-file or ORCHESTRATOR_ENV_FILE names
    (or else a file .env in the current folder), and secrets also from files of their own
    (ORCHESTRATOR_…_FILE).
    The environment goes first.
    """
    loaded = configuration.read(os.environ)
    own, cloud = (
        settings_view.settings(loaded),
        settings_view.openstack(loaded.others),
    )
    if output is Format.TEXT:
        show(settings_view.render(own, cloud))
    else:
        emit(
            {
                "settings": [s.to_json() for s in own],
                "openstack": [s.to_json() for s in cloud],
            },
            output,
        )


def run_doctor(
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            help="Also build, change and delete an empty stack in this project.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check whether a worker started here would find etcd, the broker, Keystone and Heat.

    Run it on a worker's machine, as the worker's user, with the worker's environment.
    Each line says what was found, or what is wrong and what to do.
    Answers 0 when all is well, and 1 when something is not.

    **Examples**

        orchestrator doctor
        orchestrator doctor --project 5bc29eb468c444bf839a3e634d222132
    """
    settings = configuration.load()
    # What is wrong is in the answer.
    log.configure("CRITICAL", settings.log_format)
    checks = []
    # Only this command needs the OpenStack clients, so the others start without them.
    doctor = import_module("orchestrator.cli.doctor")
    for check in doctor.examine(settings, project or ""):
        checks.append(check)
        if output is Format.TEXT:
            show([check.line()])
    if output is not Format.TEXT:
        emit([check.to_json() for check in checks], output)
    if not all(check.good for check in checks):
        raise typer.Exit(Exit.PROBLEM)


def version() -> None:
    """Show the version of this program."""
    typer.echo(__version__)


def demo(
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Tear everything down at the end; 0 only if every record is right.",
        ),
    ] = False,
    keep_logs: Annotated[
        Path | None,
        typer.Option(
            "--keep-logs",
            help="Where to keep logs and data of all servers.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    delay: Annotated[
        float | None,
        typer.Option(
            "--delay",
            help="How long Heat takes for each operation.",
            metavar="SECONDS",
            min=0,
            show_default=False,
        ),
    ] = None,
) -> None:
    """See it happen on this machine: real etcd, Redis, Celery and Heat, and a load balancer service
    built on them.

    The cloud behind Heat is simulated.
    Everything listens on free loopback ports and goes when you press Ctrl-C.
    """
    pace = {}
    if delay is not None:
        pace["delay"] = delay
    raise typer.Exit(_demo_module().run(once=once, logs=keep_logs, **pace))


def _demo_module() -> Any:
    try:
        import_module("heat")
    except ImportError:
        raise InvalidInput(
            "the demo needs a Heat engine: pip install 'orchestrator[sandbox]'"
        ) from None
    return import_module("orchestrator.sandbox.demo")
