"""Arguments and options that several commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from .completing import complete_id, complete_type
from .output import Format

Output = Annotated[
    Format,
    typer.Option(
        "--output",
        "-o",
        help="text for people; json and yaml for scripts, with stable keys.",
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        help="YAML or JSON; - is standard input. May be given several times.",
        metavar="FILE",
        show_default=False,
    ),
]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait", help="Wait until it is done, and answer with the outcome."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        help="Seconds to wait at most; for ever when left out.",
        min=0,
        metavar="SECONDS",
        show_default=False,
    ),
]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", help="Do not ask; needed where there is no terminal."
    ),
]

OneType = Annotated[
    str | None,
    typer.Argument(
        help="A type, such as port; port:port-web names type and id in one.",
        metavar="TYPE",
        show_default=False,
        autocompletion=complete_type,
    ),
]
OneId = Annotated[
    str | None,
    typer.Argument(
        help="The id of one resource.",
        metavar="ID",
        show_default=False,
        autocompletion=complete_id,
    ),
]
