"""All commands of ``orchestrator``, in the order in which help lists them."""

from __future__ import annotations

from . import (
    bridging,
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
from .planning import command as planning
from .planning import rebuilding
from .program import RUNNING, new_program
from .rollouts import command as rollouts
from .verbs import adopting, cancelling, draining, leaving, pausing

app = new_program()
app.command(epilog=HELP, rich_help_panel=RUNNING)(bridging.bridge)
app.command(epilog=HELP, rich_help_panel=RUNNING)(running.config)
app.command("doctor", epilog=HELP, rich_help_panel=RUNNING)(running.run_doctor)
app.command(rich_help_panel=RUNNING)(running.version)

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

app.command("historian", epilog=HELP, rich_help_panel=RUNNING)(
    history.historian
)
app.command("history", epilog=HELP, rich_help_panel=_LOOK)(history.command)
app.command("rollback", epilog=HELP, rich_help_panel=_CONFIG)(rollback.command)
app.add_typer(rollouts.app, name="rollout", rich_help_panel=_CONFIG)
app.add_typer(confirming.app, name="confirm", rich_help_panel=_OPERATE)
app.add_typer(schemas.app, name="schemas", rich_help_panel=_LOOK)
app.add_typer(templates.app, name="templates", rich_help_panel=_LEARN)
app.add_typer(types.app, name="types", rich_help_panel=_LEARN)
