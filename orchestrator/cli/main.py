"""The commands, wired: each opens its doors, asks a module of this package, and prints the
answer."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__, log
from .. import settings as configuration
from ..bridge import service
from ..core.checks.bodies import Shapes
from ..errors import InvalidInput, OrchestratorError, SettingsError
from ..settings import environment
from . import (
    confirming,
    deleting,
    doctor,
    documents,
    relations,
    retrying,
    schemas,
    settings_view,
    showing,
    snapshot,
    status,
    templates,
    types,
    waiting,
    writing,
)
from .exits import HELP, Exit
from .finishing import finish, warn_of_api_server
from .options import Files, Output, Timeout, Wait
from .output import Format, emit, hint, on_terminal, printable, show
from .session import Commands, exit_code, session
from .usage import without_boxes
from .waiting import Goal

app = typer.Typer(
    name="orchestrator",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Wanted configuration in etcd becomes OpenStack Heat stacks, and their outcome"
        " comes back."
    ),
    epilog=HELP,
)
_RUN, _CONFIG, _LOOK, _LEARN = (
    "Running",
    "Wanted configuration",
    "Looking",
    "Trying and checking",
)

OneType = Annotated[
    str | None,
    typer.Argument(
        help="A type, such as port; port:port-web names type and id in one.",
        metavar="TYPE",
        show_default=False,
    ),
]
OneId = Annotated[
    str | None,
    typer.Argument(
        help="The id of one resource.", metavar="ID", show_default=False
    ),
]


def main() -> None:
    """The entry point ``orchestrator``."""
    printable()
    if not on_terminal():
        without_boxes()
    app(prog_name="orchestrator")


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
) -> None:
    """What holds for every command."""
    if env_file is not None:
        os.environ[environment.ENV_FILE] = str(env_file)


# Running ------------------------------------------------------------------------------------------


@app.command(epilog=HELP, rich_help_panel=_RUN)
def bridge() -> None:
    """Follow the wanted configuration, make jobs of its changes and send them to the workers.

    Runs until it is told to stop (SIGTERM, Ctrl-C).
    Any number may run: one leads, the others stand by and take over when it is gone.
    Workers are started with `celery -A tasks worker`.
    """
    try:
        settings = configuration.load()
    except SettingsError as error:
        log.tell_refused(error)
        raise typer.Exit(Exit.INPUT) from error
    log.configure(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        service.run(settings, stop)
    except OrchestratorError as error:
        if settings.log_format != "json":
            raise
        fields = {"event": "bridge_refused", "reason": str(error)}
        logging.getLogger(__name__).error("The bridge cannot run", extra=fields)
        raise typer.Exit(exit_code(error)) from error
    except Exception as error:
        # A daemon's defect belongs into its log with all that is known; whoever supervises it
        # starts it again.
        logging.getLogger(__name__).exception(
            "The bridge ended by a defect", extra={"event": "bridge_defect"}
        )
        raise typer.Exit(Exit.DEFECT) from error


@app.command(epilog=HELP, rich_help_panel=_RUN)
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


@app.command("doctor", epilog=HELP, rich_help_panel=_RUN)
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
    for check in doctor.examine(settings, project or ""):
        checks.append(check)
        if output is Format.TEXT:
            show([check.line()])
    if output is not Format.TEXT:
        emit([check.to_json() for check in checks], output)
    raise typer.Exit(
        Exit.OK if all(check.good for check in checks) else Exit.PROBLEM
    )


@app.command(rich_help_panel=_RUN)
def version() -> None:
    """Show the version of this program."""
    typer.echo(__version__)


# Wanted configuration -----------------------------------------------------------------------------


@app.command(epilog=HELP, rich_help_panel=_CONFIG)
def apply(
    files: Files = None,
    validate: Annotated[
        bool,
        typer.Option(
            "--validate/--no-validate",
            help="Hold bodies to the JSON schemas of their types.",
        ),
    ] = True,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Write wanted resources: documents of type, id and body.

    Every document is checked before the first is written; its body is checked against the JSON
    schema of its type.
    A new resource starts at version 1, a changed one gets its next version, and one that is there
    already just so is left alone.
    The order does not matter: who needs whom follows from the references.

    **Examples**

        orchestrator apply -f service.yaml
        orchestrator apply -f service.yaml --wait --timeout 300
        generate-config | orchestrator apply -f -
    """
    if not files:
        raise InvalidInput(
            "nothing to apply: name a file with -f FILE, or -f - for standard input"
        )
    found = documents.read(files)
    with session(timeout if wait else None) as doors:
        shapes = Shapes(doors.keys.schemas.json_schema)
        checked = documents.check(
            doors.keys, found, shapes=shapes if validate else None
        )
        if validate:
            relations.tell_missing(doors.store, doors.keys, checked, shapes)
        written = [
            writing.put(doors.store, doors.keys, document.ref, document.body)
            for document in checked
        ]
        warn_of_api_server(doors, written)
        finish(
            doors,
            written,
            Goal([w.ref for w in written]) if wait else None,
            timeout,
            output,
        )


@app.command(epilog=HELP, rich_help_panel=_CONFIG)
def delete(
    kind: OneType = None,
    resource_id: OneId = None,
    files: Files = None,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Remove the config at once, without marking it first."
        ),
    ] = False,
    cascade: Annotated[
        bool,
        typer.Option(
            "--cascade", help="Delete everything that uses them, too."
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Delete them though others use them, and leave those as they are.",
        ),
    ] = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Mark resources for deletion, so that their stacks are deleted.

    The config itself stays until the API server has seen that the stack is gone, and removes it.
    Where there is no API server, --wait plays its part: it waits for the deletion and then removes
    the config.
    With --now the config is removed at once; the bridge then deletes the stack by what it has
    recorded.
    A resource that others use is not deleted without --cascade or --force.

    **Examples**

        orchestrator delete port port-web --wait
        orchestrator delete -f service.yaml --wait
    """
    found = documents.read(files or ())
    kind, resource_id = documents.split(kind, resource_id)
    if resource_id is not None and kind is not None:
        found = [documents.of_command_line(kind, resource_id), *found]
    elif kind is not None or not found:
        raise InvalidInput(
            "nothing to delete: name TYPE and ID, or a file with -f FILE"
        )
    chosen = deleting.Choice(cascade=cascade, force=force, now=now)
    again = deleting.typed_again(kind, resource_id, files, chosen)
    with session(timeout if wait else None) as doors:
        deleting.run(
            doors, found, chosen, again if not wait else None, timeout, output
        )


# Looking ------------------------------------------------------------------------------------------


@app.command(epilog=HELP, rich_help_panel=_LOOK)
def get(
    kind: OneType = None,
    resource_id: OneId = None,
    output: Output = Format.TEXT,
) -> None:
    """Show resources: what is wanted, recorded of the stack, reported, and monitored, side by side.

    With an id, every record of that resource is shown with its key in etcd. Secrets are masked.

    **Examples**

        orchestrator get
        orchestrator get port
        orchestrator get port port-web
        orchestrator get load_balancer_interface lbif-http -o json
    """
    kind, resource_id = documents.split(kind, resource_id)
    with session() as doors:
        found = snapshot.load(doors.store, doors.keys)
        if kind is not None and resource_id is not None:
            ref = documents.place(
                doors.store,
                doors.keys,
                documents.resource(doors.keys, kind, resource_id),
            )
            showing.show_one(found, ref, doors.catalogue.templates, output)
            return
        listed = showing.rows(
            found, documents.check_type(doors.keys, kind) if kind else None
        )
        if output is Format.TEXT:
            show(showing.table(listed))
        else:
            emit([row.to_json() for row in listed], output)


@app.command("status", epilog=HELP, rich_help_panel=_LOOK)
def show_status(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            "-w",
            help="Keep it on the screen, up to date, until Ctrl-C.",
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Show what runs, what waits and for whom, what is held back, what failed and why, and what was
    rejected.

    Answers 0 when all is well, though something may still be in progress, and 1 when something
    failed, is held back or was rejected.
    Failures are grouped by their cause.
    """
    if watch and (output is not Format.TEXT or not on_terminal()):
        raise InvalidInput(
            "--watch draws on a terminal; in a script, use `orchestrator wait`, then"
            " `orchestrator status -o json`"
        )
    with session() as doors:
        if watch:
            raise typer.Exit(status.watch(doors.store, doors.keys))
        found = status.overview(snapshot.load(doors.store, doors.keys))
        differs = schemas.difference(doors.source, found.schema_list)
    if differs:
        hint(differs)
    if output is Format.TEXT:
        show(status.render(found, time.time()))
    else:
        emit(status.as_document(found, time.time()), output)
    raise typer.Exit(found.exit)


@app.command(epilog=HELP, rich_help_panel=_LOOK)
def wait(
    kind: OneType = None,
    resource_id: OneId = None,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Wait until nothing is in progress: everywhere, for one type, or for one resource.

    A resource is done when its wanted version is reported, or when it is held back by something
    that does not come by itself.
    Answers 0 when all is complete, 1 when something failed or is held back, and 3 when time was
    over.
    """
    kind, resource_id = documents.split(kind, resource_id)
    with session(timeout) as doors:
        goal = waiting.goal_of(doors.store, doors.keys, kind, resource_id)
        outlook = waiting.until_told(doors.store, doors.keys, goal, timeout)
    if output is Format.TEXT:
        show(waiting.summary(outlook))
    else:
        emit(waiting.as_document(outlook), output)
    raise typer.Exit(outlook.exit)


@app.command(epilog=HELP, rich_help_panel=_CONFIG)
def retry(
    kind: OneType = None,
    resource_id: OneId = None,
    root: Annotated[
        str | None,
        typer.Option(
            "--root",
            help="All that failed because of this resource.",
            metavar="TYPE:ID",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that failed.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help=(
                "Take the stack that is in Heat as it is, whoever built it. Needs TYPE"
                " and ID."
            ),
        ),
    ] = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Try failed versions once more, as they are: after the cause outside was repaired, a quota
    raised, a cloud mended.

    What failed because of another resource needs no retry of its own: it is tried again by itself
    when its cause is repaired.
    A new version of the configuration is tried by itself, too.
    The state of the version is then reported a second time.

    **Examples**

        orchestrator retry port port-web --wait
        orchestrator retry --root network:net-front
        orchestrator retry --all
    """
    if force and (kind is None or (resource_id is None and ":" not in kind)):
        raise InvalidInput("--force is for one resource: name its TYPE and ID")
    kind, resource_id = documents.split(kind, resource_id)
    with session(timeout if wait else None) as doors:
        meant = retrying.meant(
            doors.keys, kind, resource_id, root=root, everything=everything
        )
        written = retrying.ask(doors.store, doors.keys, meant, force=force)
        goal = Goal([w.ref for w in written]) if wait and written else None
        finish(doors, written, goal, timeout, output)


# Trying -------------------------------------------------------------------------------------------


@app.command(epilog=HELP, rich_help_panel=_LEARN)
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
    pace = {} if delay is None else {"delay": delay}
    raise typer.Exit(_demo_module().run(once=once, logs=keep_logs, **pace))


def _demo_module() -> Any:
    try:
        import_module("heat")
    except ImportError:
        raise InvalidInput(
            "the demo needs a Heat engine: pip install 'orchestrator[sandbox]'"
        ) from None
    return import_module("orchestrator.sandbox.demo")


app.add_typer(confirming.app, name="confirm", rich_help_panel=_CONFIG)
app.add_typer(schemas.app, name="schemas", rich_help_panel=_LOOK)
app.add_typer(templates.app, name="templates", rich_help_panel=_LEARN)
app.add_typer(types.app, name="types", rich_help_panel=_LEARN)
