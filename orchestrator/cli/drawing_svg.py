"""A picture of resources as SVG: what is used stands left of what uses it. Nothing is needed to
draw it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ..core.refs import Ref
from ..core.texts import clean
from ..views.neighbours import GraphNode, Neighbours
from .drawing import colour_of, phase_of

_WIDTH, _HEIGHT = 220, 40
"""Of a box, in pixels."""
_ACROSS, _DOWN = 80, 16
"""Between two boxes."""
_EDGE = 16
"""Around the picture."""
_CHARACTERS = 32
"""Of a name in a box; the whole name is in its tooltip."""

_Place = tuple[int, int]


def as_svg(found: Neighbours) -> str:
    """The picture as a document."""
    places = _places(found)
    wide = max((x for x, _ in places.values()), default=0) + _WIDTH + _EDGE
    high = max((y for _, y in places.values()), default=0) + _HEIGHT + _EDGE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}"'
        f' viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">'
    )
    marker = (
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
        ' markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    arrows = list(_arrows(found, places))
    boxes = [_box(node, places[node.ref]) for node in found.nodes]
    return "\n".join([head, marker, *arrows, *boxes, "</svg>"])


def _places(found: Neighbours) -> Mapping[Ref, _Place]:
    """The upper left corner of each box."""
    columns: defaultdict[int, list[Ref]] = defaultdict(list)
    ranks = _ranks(found)
    for node in found.nodes:
        columns[ranks[node.ref]].append(node.ref)
    rows: dict[Ref, int] = {}
    for rank in sorted(columns):
        refs = sorted(columns[rank], key=lambda ref: _middle(found, rows, ref))
        for row, ref in enumerate(refs):
            rows[ref] = row
    return {
        ref: (
            _EDGE + ranks[ref] * (_WIDTH + _ACROSS),
            _EDGE + row * (_HEIGHT + _DOWN),
        )
        for ref, row in rows.items()
    }


def _middle(found: Neighbours, rows: Mapping[Ref, int], ref: Ref) -> float:
    """Where a resource stands best: beside what it uses."""
    used = [rows[other] for other in found.uses.get(ref, ()) if other in rows]
    if not used:
        return float(len(rows))
    return sum(used) / len(used)


def _ranks(found: Neighbours) -> Mapping[Ref, int]:
    """The column of each resource: one right of the last one that it uses. Circles are cut open
    where they are found."""
    ranks: dict[Ref, int] = {}
    for node in found.nodes:
        _rank(node.ref, found.uses, ranks)
    return ranks


def _rank(
    start: Ref, uses: Mapping[Ref, Sequence[Ref]], ranks: dict[Ref, int]
) -> None:
    """Give a resource its column, and before it all that it uses."""
    stack, under_way = [start], set[Ref]()
    while stack:
        ref = stack[-1]
        under_way.add(ref)
        waits = [
            other
            for other in uses.get(ref, ())
            if other not in ranks and other not in under_way
        ]
        if waits:
            stack += waits
            continue
        stack.pop()
        known = [ranks[other] for other in uses.get(ref, ()) if other in ranks]
        ranks.setdefault(ref, max(known, default=-1) + 1)


def _arrows(found: Neighbours, places: Mapping[Ref, _Place]) -> Iterator[str]:
    for user, used in found.uses.items():
        for ref in used:
            (x1, y1), (x2, y2) = places[user], places[ref]
            y1, y2, x2 = y1 + _HEIGHT // 2, y2 + _HEIGHT // 2, x2 + _WIDTH
            bend = _ACROSS // 2
            yield (
                f'<path d="M{x1},{y1} C{x1 - bend},{y1} {x2 + bend},{y2} {x2},{y2}"'
                ' fill="none" stroke="#616161" marker-end="url(#end)"/>'
            )


def _box(node: GraphNode, place: _Place) -> str:
    x, y = place
    name, told = clean(str(node.ref)), phase_of(node)
    short = name
    if len(name) > _CHARACTERS:
        short = f"{name[: _CHARACTERS - 1]}…"
    thick = 3 if node.centre else 1
    hint = escape(clean(f"{name}: {told}. {node.reason}"))
    return (
        f'<g><title>{hint}</title><rect x="{x}" y="{y}" width="{_WIDTH}"'
        f' height="{_HEIGHT}" rx="6" fill="{colour_of(node)}" stroke="#424242"'
        f' stroke-width="{thick}"/><text x="{x + 8}" y="{y + 17}">{escape(short)}</text>'
        f'<text x="{x + 8}" y="{y + 32}" fill="#424242">{escape(told)}</text></g>'
    )
