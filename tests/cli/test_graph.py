"""Who uses whom, as text and as pictures."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from orchestrator.cli.drawing import as_dot, as_lines, as_mermaid
from orchestrator.cli.drawing_svg import as_svg
from orchestrator.core.refs import Ref
from orchestrator.views.neighbours import Neighbours, neighbours
from orchestrator.views.phases import Phase
from orchestrator.views.reading import read_all

from .conftest import Records, Run_

NET, SUB, PORT, OTHER = (
    Ref("network", "n"),
    Ref("subnet", "s"),
    Ref("port", "p"),
    Ref("network", "far"),
)
NOWHERE = Ref("network", "nowhere")


@pytest.fixture
def scene(memory: Records) -> Records:
    """A port on a subnet on a network; another network that nobody uses; a port that waits."""
    for ref in (NET, OTHER):
        written = memory.config(ref)
        memory.handle(ref, 1, written, revision=written, digest="d")
        memory.report(ref)
    written = memory.config(SUB, network_id="n")
    memory.handle(SUB, 1, written, revision=written, digest="d", references={"network": (NET,)})
    memory.report(SUB, error="quota")
    memory.config(PORT, network_id="n")
    memory.hold(PORT, SUB)
    memory.config(Ref("port", "lonely"), network_id="nowhere")
    memory.hold(Ref("port", "lonely"), NOWHERE)
    return memory


def of(scene: Records, centre: Ref | None = None, *, depth: int = 2, most: int = 300) -> Neighbours:
    return neighbours(read_all(scene.store, scene.keys), centre, depth=depth, most=most)


def test_the_neighbours_are_found_in_both_directions(scene: Records) -> None:
    found = of(scene, SUB)

    assert {node.ref: node.phase for node in found.nodes} == {
        SUB: Phase.FAILED,
        NET: Phase.COMPLETE,
        PORT: Phase.HELD,
    }
    assert found.uses[SUB] == (NET,)
    assert set(found.uses[PORT]) == {SUB, NET}
    assert [node.ref for node in found.nodes if node.centre] == [SUB]


def test_the_depth_bounds_the_picture(scene: Records) -> None:
    scene.config(Ref("router", "r"))
    scene.handle(Ref("router", "r"), 1, 0, references={"port": (PORT,)})

    assert Ref("router", "r") not in {node.ref for node in of(scene, SUB, depth=1).nodes}
    assert Ref("router", "r") in {node.ref for node in of(scene, SUB, depth=2).nodes}


def test_all_resources_are_shown_and_also_what_is_not_there(scene: Records) -> None:
    found = of(scene)

    assert {node.ref for node in found.nodes if node.phase is None} == {NOWHERE}
    assert OTHER in {node.ref for node in found.nodes}


def test_what_is_not_well_is_shown_before_the_rest(scene: Records) -> None:
    found = of(scene, most=2)

    assert len(found.nodes) == 2 and found.left_out == 4
    assert Phase.COMPLETE not in {node.phase for node in found.nodes}


def test_the_text_tells_what_is_used_and_by_whom(scene: Records) -> None:
    lines = [line.plain for line in as_lines(of(scene, SUB))]

    assert lines[0].startswith("subnet:s  failed  quota")
    assert lines[1:3] == ["uses", "  network:n  complete"]
    assert lines[3] == "is used by"
    assert lines[4].startswith("  port:p  held")
    assert [line.plain for line in as_lines(of(scene, NET))][1] == "uses nothing"


def test_the_text_of_everything_names_each_resource(scene: Records) -> None:
    text = "\n".join(line.plain for line in as_lines(of(scene)))

    for ref in (NET, SUB, PORT, OTHER, NOWHERE, Ref("port", "lonely")):
        assert str(ref) in text


def test_a_circle_ends(memory: Records) -> None:
    for ref, other in ((NET, SUB), (SUB, NET)):
        memory.config(ref)
        memory.handle(ref, 1, 0, references={"x": (other,)})
    for centre in (None, NET):
        found = of(memory, centre)
        assert len(list(as_lines(found))) >= 2
        assert ElementTree.fromstring(as_svg(found)).tag.endswith("svg")


def test_the_pictures_are_well_formed_and_quote_names(scene: Records) -> None:
    odd = Ref("port", 'a"<b>&')
    scene.config(odd, network_id="n")
    found = of(scene, NET)

    root = ElementTree.fromstring(as_svg(found))
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith('port:a"<b>&: pending') for title in titles)
    assert len(titles) == len(found.nodes)

    dot = as_dot(found)
    assert dot.startswith("digraph") and '"port:a\\"<b>&" -> "network:n";' in dot
    assert dot.count("->") == sum(map(len, found.uses.values()))
    assert "#quot;" in as_mermaid(found)


def test_the_command_draws_one_resource(run: Run_, written: Records) -> None:
    written.config(NET)
    written.config(SUB, network_id="n")

    assert run("graph", "network:n").stdout.splitlines()[0].startswith("network:n  pending")
    assert run("graph", "network:n", "-o", "svg").stdout.startswith("<svg")
    assert run("graph", "network", "x").exit_code == 2
    assert run("graph", "network").exit_code == 2
