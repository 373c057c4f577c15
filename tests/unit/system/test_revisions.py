"""Templates have revisions by content: kept while a stack uses them, and the last five."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge.revisions import KEPT
from orchestrator.core.records import Built, TemplateRevision
from orchestrator.core.templates import Template, parse_template

from tests.factories import HOT, network, templates

from .driver import System

N1 = network("n1")
ID = "network"


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def template(number: int) -> Template:
    mappings = {"name": "Pname"}
    text = f"{HOT}# {number}\n"
    return parse_template(ID, {"template_file": text, "parameter_mappings": mappings})


def push(system: System, number: int) -> str:
    """Push a template of its own content. Returns its revision, once the leader has seen it."""
    pushed = template(number)
    body = {"id": ID, **pushed.source}
    system.store.put(f"/config/v2.0/heat_templates/{ID}", json.dumps({"body": body}))
    system.lead_until(lambda: newest(system) == pushed.revision)
    return pushed.revision


def stored(system: System) -> list[str]:
    """The revisions of the template that are kept, the newest last."""
    _, found = system.store.list(system.keys.revisions_of(ID))
    ordered = sorted(found, key=lambda kv: kv.revision)
    return [TemplateRevision.from_json(kv.value).revision for kv in ordered]


def newest(system: System) -> str:
    return stored(system)[-1]


def test_the_templates_in_force_are_kept_when_a_term_begins(system: System) -> None:
    _, found = system.store.list(system.keys.revisions)
    kept = {
        record.template: record for record in (TemplateRevision.from_json(kv.value) for kv in found)
    }

    assert kept.keys() == templates().keys()
    assert all(kept[name].parsed() == one for name, one in templates().items())


def test_another_term_writes_nothing_that_is_there(system: System) -> None:
    before = system.store.list(system.keys.revisions)[1]
    system.stop()
    system.start()

    assert system.store.list(system.keys.revisions)[1] == before


def test_a_template_that_came_while_nobody_led_is_kept_by_the_next_leader(system: System) -> None:
    system.stop()
    body = {"id": ID, **template(1).source}
    system.store.put(f"/config/v2.0/heat_templates/{ID}", json.dumps({"body": body}))
    system.start()

    assert stored(system) == [templates()[ID].revision, template(1).revision]


def test_the_last_five_are_kept(system: System) -> None:
    pushed = [push(system, number) for number in range(2 * KEPT)]

    assert stored(system) == pushed[-KEPT:]


def test_a_revision_is_kept_as_long_as_a_stack_uses_it(system: System) -> None:
    used = push(system, 0)
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    others = [push(system, number) for number in range(1, 2 * KEPT)]

    assert stored(system) == [used, *others[-KEPT:]]

    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
    last = push(system, 2 * KEPT)
    built = system.store.get(system.keys.below(system.keys.built, N1))

    assert built is not None
    assert Built.from_json(built.value).revision == others[-1]
    assert stored(system) == [*others[1 - KEPT :], last]


def test_content_that_comes_back_is_the_newest_again(system: System) -> None:
    first, second = push(system, 1), push(system, 2)
    assert push(system, 1) == first

    assert stored(system)[-2:] == [second, first]


def test_a_template_that_cannot_be_used_is_no_revision(system: System) -> None:
    before = stored(system)
    system.store.put(f"/config/v2.0/heat_templates/{ID}", json.dumps({"body": {"id": ID}}))
    system.lead_until(lambda: not isinstance(system.term.world.templates[ID], Template))

    assert stored(system) == before


def test_nothing_is_left_of_a_template_that_is_gone_and_that_no_stack_uses(system: System) -> None:
    key = "/config/v2.0/heat_templates/of/tenants"
    body = {"id": "of/tenants", "template_file": HOT}
    system.store.put(key, json.dumps({"body": body}))
    folder = system.keys.revisions_of("of/tenants")
    system.lead_until(lambda: system.store.list(folder)[1])
    system.store.delete(key)
    system.lead_until(lambda: not system.store.list(folder)[1])


def test_a_template_that_is_too_large_for_etcd_is_told_of_and_not_kept(
    system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("orchestrator.core.records.revisions.LARGEST_STORED", 50)
    before = stored(system)
    body = {"id": ID, **template(1).source}
    system.store.put(f"/config/v2.0/heat_templates/{ID}", json.dumps({"body": body}))
    system.lead_until(lambda: system.term.world.templates[ID] == template(1))

    assert stored(system) == before
    assert [
        r.__dict__["template"] for r in caplog.records if r.__dict__["event"] == "revision_not_kept"
    ] == [ID]


def test_a_record_with_other_content_than_its_name_says_is_refused() -> None:
    record = TemplateRevision.of(template(1), "2026-11-28T08:00:00Z")
    assert TemplateRevision.from_json(record.to_json()) == record

    forged = json.loads(record.to_json()) | {"revision": template(2).revision}
    with pytest.raises(ValueError, match="is not that of its content"):
        TemplateRevision.from_json(json.dumps(forged))
    with pytest.raises(ValueError, match="cannot be unpacked"):
        TemplateRevision.from_json(json.dumps(forged | {"content": "AAAA"}))
