"""``orchestrator graph``: who uses whom."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ..errors import InvalidInput
from ..views.neighbours import MOST, neighbours
from ..views.reading import read_all
from . import naming
from .drawing import as_dot, as_lines, as_mermaid
from .drawing_svg import as_svg
from .options import OneId, OneType
from .output import hint, say, show
from .session import session


class GraphFormat(StrEnum):
    """The language of the picture."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"


_DRAW = {
    GraphFormat.DOT: as_dot,
    GraphFormat.MERMAID: as_mermaid,
    GraphFormat.SVG: as_svg,
}

_Form = Annotated[
    GraphFormat,
    typer.Option(
        "--output",
        "-o",
        help="text; svg for a browser, dot for Graphviz, mermaid for Markdown.",
    ),
]
_Depth = Annotated[
    int,
    typer.Option(
        "--depth", min=1, help="Steps from the resource, in both directions."
    ),
]
_Most = Annotated[
    int, typer.Option("--most", min=1, help="Resources in the picture.")
]


def graph(
    kind: OneType = None,
    resource_id: OneId = None,
    output: _Form = GraphFormat.TEXT,
    depth: _Depth = 2,
    most: _Most = MOST,
) -> None:
    """Show which resources use which, coloured by how they stand.

    With TYPE ID: what the resource uses, and what uses it. Without: all resources.
    Where there are more than `--most`, those that are not well are shown first.

    **Examples**

        orchestrator graph network backbone
        orchestrator graph network backbone --depth 4 -o svg > backbone.svg
        orchestrator graph -o dot | dot -Tpng > all.png
    """
    kind, resource_id = naming.split(kind, resource_id)
    if kind is not None and resource_id is None:
        raise InvalidInput("name a resource by TYPE ID, or nothing for all")
    with session() as doors:
        centre = None
        if kind is not None and resource_id is not None:
            named = naming.resource(doors.keys, kind, resource_id)
            centre = naming.place(doors.store, doors.keys, named)
        snapshot = read_all(doors.store, doors.keys)
        moment = doors.moment()
    if centre is not None and centre not in snapshot.refs():
        raise InvalidInput(f"nothing is known of {centre}")
    found = neighbours(snapshot, centre, depth=depth, most=most, moment=moment)
    if output is GraphFormat.TEXT:
        show(as_lines(found))
    else:
        say(_DRAW[output](found))
    if found.left_out:
        hint(f"… and {found.left_out} more resources: --most, or TYPE ID")
