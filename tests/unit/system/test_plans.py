"""What a plan says is what then happens: on the real reconciler and the real steps."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli.planning import saved
from orchestrator.cli.planning.edits import NONE, Edits
from orchestrator.cli.planning.making import MadePlan, PlanGround, make
from orchestrator.core import records
from orchestrator.core.forecast.plans import Change, What
from orchestrator.core.policies import Follow
from orchestrator.core.refs import Json, Ref
from orchestrator.core.removals import BrakeLimits
from orchestrator.errors import InvalidInput

from tests import factories
from tests.doubles import PlainRenderer
from tests.properties import TIMES

from .bench import TENANTS, Bench

N1, N2 = factories.network("n1"), factories.network("n2")
P1, P2 = factories.port("p1"), factories.port("p2")
S1 = factories.server("s1")
TEMPLATE = Ref("heat_template", "port")

METHODS: Mapping[What, tuple[str, ...]] = {
    What.CREATE: ("create",),
    What.UPDATE: ("update",),
    What.REBUILD: ("update",),
    What.MOVE: ("delete", "create"),
    What.REPLACE: ("delete", "create"),
    What.DELETE: ("delete",),
}


class Planned(Bench):
    """A bench whose configs are written by plans."""

    def plan(self, edits: Edits = NONE, follow: Follow = Follow.AUTO) -> MadePlan:
        templates, render = factories.templates(), PlainRenderer().render
        ground = PlanGround(self.store, self.keys, templates, BrakeLimits(), render, follow)
        before = self.store.revision
        made = make(ground, edits)
        assert self.store.revision == before, "planning writes nothing"
        return made

    def carry_out(self, made: MadePlan) -> list[tuple[str, str]]:
        """Carry a plan out, and return what Heat was asked: method and stack."""
        asked = len(self.heat.requests)
        saved.carry_out(self.store, self.keys, saved.Saved(made.plan, made.plan.reads, made.writes))
        self.quiet()
        return [(one.method, one.name) for one in self.heat.requests[asked:]]

    def finish_deletions(self) -> None:
        """The API server removes what is deleted."""
        for ref, wanted in list(self.world.wanted.items()):
            if wanted.marked_for_deletion and not self.world.is_live(ref):
                self.remove(ref)
        self.quiet()


def body(ref: Ref, **properties: Json) -> dict[str, Json]:
    return factories.body(ref, **properties)


def change(made: MadePlan, ref: Ref) -> Change:
    return next(one for one in made.plan.changes if one.ref == ref)


def requests(made: MadePlan) -> list[tuple[str, str]]:
    """What Heat is asked, as the plan says: method and stack."""
    return [
        (method, change.ref.stack_name)
        for change in made.plan.changes
        for method in METHODS.get(change.what, ())
    ]


@pytest.fixture
def bench() -> Planned:
    """A network with two ports and a server on them, and a second network: all built."""
    found = Planned()
    for ref in (N1, N2):
        found.put(ref)
    found.put(P1, network_id="n1")
    found.put(P2, network_id="n1")
    found.put(S1, ports=["p1", "p2"])
    found.quiet()
    return found


def test_where_all_is_built_there_is_nothing_to_do(bench: Planned) -> None:
    made = bench.plan()

    assert made.plan.changes == () and made.plan.idle and not made.writes


def test_a_change_tells_body_version_parameters_and_who_is_updated_if_outputs_change(
    bench: Planned,
) -> None:
    told = change(bench.plan(Edits({N1: body(N1, name="new")})), N1).to_json()

    assert told == {
        "type": "network",
        "id": "n1",
        "action": "update",
        "because": "config",
        "version": {"from": 1, "to": 2},
        "body": [{"op": "replace", "path": "/name", "value": "new"}],
        "parameters": {"name": {"from": "n1", "to": "new"}},
        "hot": "",
        "then": [
            {"type": "port", "id": "p1", "if": "output"},
            {"type": "port", "id": "p2", "if": "output"},
            {"type": "server", "id": "s1", "if": "output"},
        ],
        "wave": 1,
        "unknown": [],
        "heat": None,
    }


@pytest.mark.parametrize("said", ["report", "never"])
def test_who_does_not_follow_outputs_is_not_told_to_be_updated(bench: Planned, said: str) -> None:
    push(bench, name="Pname", network="Mnetwork:network_id:id", heat_rebuild=f"C{said}")
    bench.restart()

    assert change(bench.plan(Edits({N1: body(N1, name="new")})), N1).then == ()


def test_a_stack_that_is_outdated_is_rebuilt_because_of_the_output(bench: Planned) -> None:
    """The outputs of a network have changed, and no leader has seen it yet."""
    outputs = [{"output_key": "id", "output_value": "another"}]
    stack = records.StackRecord.of(N1, TENANTS[0], "UPDATE_COMPLETE", outputs)
    bench.store.put(bench.keys.below(bench.keys.stacks, N1), stack.to_json())
    made = bench.plan()

    assert [(one.ref, one.what, one.because) for one in made.plan.changes] == [
        (P1, What.REBUILD, "output id of network:n1"),
        (P2, What.REBUILD, "output id of network:n1"),
    ]
    assert [then.to_json() for then in change(made, P1).then] == [
        {"type": "server", "id": "s1", "if": "output"}
    ]


def push(bench: Planned, **mappings: Json) -> None:
    """Push another template of ports."""
    template = {"id": "port", "template_file": factories.HOT, "parameter_mappings": mappings}
    bench.store.put(f"{bench.keys.template('port')}", json.dumps({"body": template}))


def test_what_is_new_is_planned_in_waves_and_its_outputs_are_known_after_it(
    bench: Planned,
) -> None:
    n9, p9, s9 = factories.network("n9"), factories.port("p9"), factories.server("s9")
    made = bench.plan(
        Edits({s9: body(s9, ports=["p9"]), p9: body(p9, network_id="n9"), n9: body(n9)})
    )

    assert [(one.ref, one.what, one.wave) for one in made.plan.changes] == [
        (n9, What.CREATE, 1),
        (p9, What.CREATE, 2),
        (s9, What.CREATE, 3),
    ]
    assert change(made, p9).parameters["network"] == (None, "known after network:n9")
    assert change(made, s9).parameters["ports"] == (None, ["known after port:p9"])
    assert [then.to_json() for then in change(made, n9).then] == [
        {"type": "port", "id": "p9", "if": "always"}
    ]
    assert bench.carry_out(made) == requests(made)


def test_what_refers_to_nothing_is_held_and_the_plan_says_by_what(bench: Planned) -> None:
    p9 = factories.port("p9")
    made = bench.plan(Edits({p9: body(p9, network_id="nowhere")}))

    assert change(made, p9).what is What.HELD
    assert "network:nowhere" in change(made, p9).because
    assert bench.carry_out(made) == []


def test_what_was_held_is_built_when_a_plan_brings_what_it_waits_for(bench: Planned) -> None:
    p9, n9 = factories.port("p9"), factories.network("n9")
    bench.put(p9, network_id="n9")
    bench.quiet()
    made = bench.plan(Edits({n9: body(n9)}))

    assert change(made, p9).what is What.CREATE
    assert change(made, p9).because == "waited for network:n9"
    assert bench.carry_out(made) == requests(made)


def test_a_version_that_cannot_become_a_job_is_refused_in_the_plan(bench: Planned) -> None:
    made = bench.plan(Edits({N1: {**body(N1), "tenant_id": "a/b"}}))

    assert change(made, N1).what is What.REFUSED
    assert "tenant_id should be the id" in change(made, N1).because
    assert bench.carry_out(made) == []


def fail(bench: Planned, ref: Ref, policy: str) -> None:
    """The last job on a network left its stack in a failed state, and its template has a policy."""
    mappings = {"name": "Pname", "heat_on_failure": f"C{policy}"}
    template = {"id": "network", "template_file": factories.HOT, "parameter_mappings": mappings}
    bench.store.put(bench.keys.template("network"), json.dumps({"body": template}))
    record = records.StackRecord.of(ref, factories.TENANT, "UPDATE_FAILED", reason="no host")
    bench.store.put(bench.keys.below(bench.keys.stacks, ref), record.to_json())


@pytest.mark.parametrize(
    ("ref", "policy", "follow", "what", "unknown"),
    [
        pytest.param(N2, "repair", Follow.REPORT, What.UPDATE, False, id="repaired"),
        pytest.param(N2, "replace", Follow.REPORT, What.REPLACE, False, id="replaced"),
        pytest.param(N1, "replace", Follow.REPORT, What.UPDATE, True, id="not under its ports"),
        pytest.param(N1, "replace", Follow.AUTO, What.REPLACE, False, id="its ports follow it"),
        pytest.param(N2, "hold", Follow.AUTO, What.UPDATE, True, id="held"),
    ],
)
def test_what_becomes_of_a_failed_stack_is_told(
    bench: Planned, ref: Ref, policy: str, follow: Follow, what: What, unknown: bool
) -> None:
    fail(bench, ref, policy)
    told = change(bench.plan(Edits({ref: body(ref, name="new")}), follow), ref)

    assert told.what is what
    assert any("left the stack in UPDATE_FAILED" in one for one in told.unknown) == unknown


def test_another_tenant_is_a_move_of_two_requests(bench: Planned) -> None:
    made = bench.plan(Edits({N2: {**body(N2), "tenant_id": "t2"}}))

    assert change(made, N2).what is What.MOVE and made.plan.requests == 2
    assert bench.carry_out(made) == [("delete", "network_n2"), ("create", "network_n2")]


def test_users_are_deleted_before_what_they_use(bench: Planned) -> None:
    made = bench.plan(Edits({}, [N1, P1, P2, S1]))

    assert [(one.ref, one.wave) for one in made.plan.changes] == [
        (S1, 1),
        (P1, 2),
        (P2, 2),
        (N1, 3),
    ]
    assert bench.carry_out(made) == requests(made)


def test_what_others_use_is_not_planned_to_be_deleted(bench: Planned) -> None:
    with pytest.raises(InvalidInput, match=r"network:n1 is used by port:p1, port:p2"):
        bench.plan(Edits({}, [N1]))


def test_a_removed_and_recreated_id_is_replaced(bench: Planned) -> None:
    bench.remove(N2)
    bench.put(N2, name="anew")
    made = bench.plan()

    assert change(made, N2).what is What.REPLACE and made.plan.requests == 2


def test_no_secret_is_in_a_plan_only_that_it_changes(bench: Planned) -> None:
    made = bench.plan(Edits({N1: body(N1, admin_password="hunter22", note="is hunter22")}))
    text = str(made.plan.to_json())

    assert "hunter22" not in text
    assert {"op": "add", "path": "/admin_password", "value": "changed"} in [
        one.to_json() for one in change(made, N1).body
    ]
    assert "hunter22" in str(made.writes)


def test_a_secret_output_of_another_stack_is_not_in_a_plan(bench: Planned) -> None:
    secret = {"output_key": "admin_password", "output_value": "hunter22"}
    outputs = [{"output_key": "id", "output_value": "cloud"}, secret]
    record = records.StackRecord.of(N1, "t1", "CREATE_COMPLETE", outputs)
    bench.store.put(bench.keys.below(bench.keys.stacks, N1), record.to_json())
    n9 = factories.network("n9")
    template = {
        "id": "port",
        "template_file": factories.HOT + "# {{ jinja_other }}\n",
        "parameter_mappings": {
            "login": "Mnetwork:network_id:admin_password",
            "plain": "Mnetwork:network_id:id",
            # Not known yet, so that the template cannot be rendered.
            "jinja_other": {"path": [{"type": "network", "id": "other_id"}], "output_key": "id"},
        },
    }
    p9 = factories.port("p9")
    edits = {TEMPLATE: template, n9: body(n9), p9: body(p9, network_id="n1", other_id="n9")}
    told = change(bench.plan(Edits(edits)), p9)

    assert told.parameters["login"] == (None, "changed")
    assert told.parameters["plain"] == (None, "cloud")
    assert "hunter22" not in str(told.to_json())
    assert any(one.startswith("the rendered template") for one in told.unknown)


def test_a_template_tells_which_stacks_are_outdated_by_it(bench: Planned) -> None:
    text = factories.HOT + "# {{ jinja_name }}\n"
    made = bench.plan(
        Edits(
            {
                TEMPLATE: {
                    "id": "port",
                    "template_file": text,
                    "parameter_mappings": {"name": "Pname", "jinja_name": "Pname"},
                }
            }
        )
    )
    told = change(made, P1)

    assert (told.what, told.because) == (What.NOTHING, "template")
    assert "+# p1" in told.hot
    assert told.parameters["jinja_name"] == (None, "p1")
    assert change(made, P2).because == "template"
    assert made.plan.requests == 0 and bench.carry_out(made) == []


def test_without_edits_a_plan_tells_what_the_bridge_would_do(bench: Planned) -> None:
    bench.put(N1, name="written while no bridge ran")
    made = bench.plan()

    assert [(one.ref, one.what) for one in made.plan.changes] == [(N1, What.UPDATE)]
    assert not made.plan.idle and not made.writes


def test_a_plan_relies_on_what_it_looked_at_and_on_nothing_else(bench: Planned) -> None:
    made = bench.plan(Edits({P1: body(P1, network_id="n1", name="new")}))

    assert "/config/v2.0/ports/p1" in made.plan.reads
    assert "/config/v2.0/networks/n1" in made.plan.reads
    assert "/config/v2.0/heat_templates/port" in made.plan.reads
    assert not [key for key in made.plan.reads if key.endswith(("/n2", "/s1", "/p2"))]


def test_a_plan_whose_ground_has_moved_writes_nothing(bench: Planned) -> None:
    made = bench.plan(Edits({P1: body(P1, network_id="n1", name="new")}))
    bench.put(N1, name="other")

    before = bench.store.revision
    with pytest.raises(saved.Stale) as stale:
        bench.carry_out(made)
    assert [one.key for one in stale.value.moved] == ["/config/v2.0/networks/n1"]
    assert bench.store.revision == before


def test_an_unrelated_write_does_not_make_a_plan_stale(bench: Planned) -> None:
    made = bench.plan(Edits({P1: body(P1, network_id="n1", name="new")}))
    bench.put(N2, name="other")

    assert sorted(bench.carry_out(made)) == [
        ("update", "network_n2"),
        ("update", "port_p1"),
    ]


def test_a_plan_is_carried_out_once(bench: Planned) -> None:
    made = bench.plan(Edits({N1: body(N1, name="new")}))
    bench.carry_out(made)

    with pytest.raises(saved.Stale):
        bench.carry_out(made)


def test_a_large_plan_is_written_whole(bench: Planned) -> None:
    many = [factories.network(f"many-{number}") for number in range(130)]
    made = bench.plan(Edits({ref: body(ref) for ref in many}))

    assert len(made.plan.reads) > 200
    saved.carry_out(bench.store, bench.keys, saved.Saved(made.plan, made.plan.reads, made.writes))
    assert all(bench.config(ref) for ref in many)


def test_a_saved_plan_is_read_as_it_was_and_not_after_somebody_changed_it(
    bench: Planned, tmp_path: Path
) -> None:
    made = bench.plan(Edits({N1: body(N1, name="new")}))
    file = tmp_path / "plan"
    saved.save(made, file)
    found = saved.read(file)

    assert file.stat().st_mode & 0o777 == 0o600
    assert found.plan.to_json() == made.plan.to_json()
    assert found.writes == made.writes and found.plan.digest == made.plan.digest

    file.write_text(file.read_text().replace("new", "bad"))
    with pytest.raises(InvalidInput, match="changed after it was saved"):
        saved.read(file)


# Random edits --------------------------------------------------------------------------------------


class Editor:
    """Makes random edits of what there is."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def edits(self, bench: Planned) -> Edits:
        """One to four changes."""
        puts: dict[Ref, dict[str, Json]] = {}
        deletions: list[Ref] = []
        for _ in range(self.random.randint(1, 4)):
            kind = self.random.choice(["create", "create", "update", "delete", "tenant"])
            there = [
                ref
                for ref, wanted in bench.world.wanted.items()
                if not wanted.marked_for_deletion and ref not in puts and ref not in deletions
            ]
            if kind == "create" or not there:
                ref, properties = self._new(bench)
                puts[ref] = properties
                continue
            ref = self.random.choice(sorted(there))
            if kind == "delete":
                deletions.append(ref)
            else:
                puts[ref] = self._changed(bench, ref, kind)
        return Edits(puts, deletions)

    def _new(self, bench: Planned) -> tuple[Ref, dict[str, Json]]:
        name = f"r{self.random.randint(0, 12)}"
        ref = self.random.choice([factories.network, factories.port, factories.server])(name)
        return ref, self._properties(bench, ref)

    def _properties(self, bench: Planned, ref: Ref) -> dict[str, Json]:
        names = [f"r{self.random.randint(0, 12)}" for _ in range(2)]
        more: Mapping[str, Any] = {
            "port": {"network_id": names[0]},
            "server": {"ports": sorted(set(names))},
        }
        text = f"text-{self.random.randint(0, 999)}"
        return factories.body(ref, **more.get(ref.type, {}), note=text)

    def _changed(self, bench: Planned, ref: Ref, kind: str) -> dict[str, Json]:
        config = bench.config(ref)
        properties = {**self._properties(bench, ref)}
        if kind == "tenant":
            now = bench._properties(config)["tenant_id"]
            properties["tenant_id"] = next(one for one in TENANTS if one != now)
        return properties


@pytest.mark.parametrize("seed", range(5 * TIMES))
def test_heat_gets_the_requests_of_the_plan_and_no_others(seed: int) -> None:
    bench, editor = Planned(), Editor(seed)
    done = 0
    while done < 40:
        edits = editor.edits(bench)
        try:
            made = bench.plan(edits)
        except InvalidInput as error:
            assert "is used by" in str(error)
            continue
        asked = bench.carry_out(made)
        assert Counter(asked) == Counter(requests(made)), (asked, edits, made.plan.changes)
        bench.finish_deletions()
        done += 1
