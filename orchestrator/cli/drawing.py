"""A picture of resources as text, and in the languages of Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from ..core.refs import Ref
from ..views.neighbours import GraphNode, Neighbours
from ..views.phases import Phase
from .output import DOUBT, FAINT, seen
from .status import PHASE_STYLES

_UNKNOWN = "#bdbdbd"
COLOURS: Mapping[Phase, str] = {
    Phase.COMPLETE: "#a5d6a7",
    Phase.DELETED: "#e0e0e0",
    Phase.RUNNING: "#80deea",
    Phase.WAITING: "#90caf9",
    Phase.PENDING: "#90caf9",
    Phase.HELD: "#fff59d",
    Phase.STALE: "#fff59d",
}
"""The phases that are no failure; all others are red."""
_BAD = "#ef9a9a"


def colour_of(node: GraphNode) -> str:
    """The colour of a box."""
    if node.phase is None:
        return _UNKNOWN
    return COLOURS.get(node.phase, _BAD)


def phase_of(node: GraphNode) -> str:
    """The phase, in words."""
    if node.phase is None:
        return "not there"
    return node.phase.value


# Languages ----------------------------------------------------------------------------------------


def as_dot(found: Neighbours) -> str:
    """For Graphviz: ``orchestrator graph -o dot | dot -Tpng``."""
    return "\n".join(["digraph resources {", *_dot(found), "}"])


def _dot(found: Neighbours) -> Iterator[str]:
    yield "  rankdir=LR;"
    yield '  node [shape=box, style="filled,rounded", fontname="sans-serif"];'
    for node in found.nodes:
        name, thick = _quoted(str(node.ref)), ""
        if node.centre:
            thick = ", penwidth=3"
        label = _quoted(f"{node.ref}\n{phase_of(node)}")
        yield f'  {name} [label={label}, fillcolor="{colour_of(node)}"{thick}];'
    for user, used in found.uses.items():
        for ref in used:
            yield f"  {_quoted(str(user))} -> {_quoted(str(ref))};"


def _quoted(text: str) -> str:
    """A text of Graphviz."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("\n", "\\n") + '"'


def as_mermaid(found: Neighbours) -> str:
    """For Mermaid, as Git forges draw it in Markdown."""
    return "\n".join(["flowchart LR", *_mermaid(found)])


def _mermaid(found: Neighbours) -> Iterator[str]:
    names = {node.ref: f"n{number}" for number, node in enumerate(found.nodes)}
    for node in found.nodes:
        label = f"{node.ref}<br/>{phase_of(node)}".replace('"', "#quot;")
        yield f'  {names[node.ref]}["{label}"]'
        yield f"  style {names[node.ref]} fill:{colour_of(node)}"
    for user, used in found.uses.items():
        for ref in used:
            yield f"  {names[user]} --> {names[ref]}"


# Text ---------------------------------------------------------------------------------------------


def as_lines(found: Neighbours) -> Iterator[Text]:
    """For a terminal: what the resource uses, and what uses it; or everything, from what uses
    nothing."""
    nodes = {node.ref: node for node in found.nodes}
    centre = next((node.ref for node in found.nodes if node.centre), None)
    if centre is not None:
        yield _told(nodes[centre])
        for name, others in (
            ("uses", found.uses),
            ("is used by", found.used_by()),
        ):
            near = list(_below(centre, others, nodes, [centre]))
            if not near:
                name = f"{name} nothing"
            yield Text(name, FAINT)
            yield from near
        return
    users, told = found.used_by(), set[Ref]()
    for ref in nodes:
        if not found.uses.get(ref):
            yield _told(nodes[ref])
            yield from _below(ref, users, nodes, [ref], told)
    for ref in nodes:
        if ref not in told and found.uses.get(ref):
            yield _told(nodes[ref])  # It is on a circle, or above one.


def _below(
    ref: Ref,
    next_to: Mapping[Ref, Sequence[Ref]],
    nodes: Mapping[Ref, GraphNode],
    path: list[Ref],
    told: set[Ref] | None = None,
) -> Iterator[Text]:
    """What follows a resource, indented; each once, and again only by name."""
    told = set() if told is None else told
    for other in next_to.get(ref, ()):
        again = other in told or other in path
        yield _told(nodes[other], len(path), again=again)
        if not again:
            told.add(other)
            yield from _below(other, next_to, nodes, [*path, other], told)


def _told(node: GraphNode, depth: int = 0, *, again: bool = False) -> Text:
    """One line."""
    line = Text("  " * depth)
    line.append_text(seen(str(node.ref)))
    if again:
        return line.append("  (above)", FAINT)
    style = DOUBT
    if node.phase is not None:
        style = PHASE_STYLES.get(node.phase, DOUBT)
    line.append(f"  {phase_of(node)}", style)
    if node.reason and phase_of(node) not in _SILENT:
        line.append_text(seen(Text(f"  {node.reason}", FAINT)))
    return line


_SILENT = (Phase.COMPLETE.value, Phase.DELETED.value, "not there")
