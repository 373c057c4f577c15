"""The requests that a real Heat gets are those of the saved plan, and no others.

``PLAN_EDITS`` and ``PLAN_RESOURCES`` say how many random edits on how many resources: 12 on 30, or
``PLAN_EDITS=200 PLAN_RESOURCES=300 python -m pytest tests/integration/test_plans.py``.
``FOLLOWERS`` says how many stacks follow a changed output: 6.
"""

from __future__ import annotations

import http.client
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli.planning import rebuilding, saved
from orchestrator.cli.planning.edits import Edits
from orchestrator.cli.planning.making import MadePlan, PlanGround, make
from orchestrator.cli.verbs.authors import verb
from orchestrator.clients import catalogue, renderer
from orchestrator.clients.store import KeyValue, Store
from orchestrator.core.forecast.plans import What
from orchestrator.core.records import StackRecord
from orchestrator.core.refs import Json, Ref
from orchestrator.core.removals import BrakeLimits
from orchestrator.errors import InvalidInput
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes
from orchestrator.views.outlook import Goal, until
from orchestrator.views.reading import read_all

from tests.scripted.serving import LocalServer, QuietHandler

from .system import System, system

EDITS = int(os.environ.get("PLAN_EDITS", "12"))
RESOURCES = int(os.environ.get("PLAN_RESOURCES", "30"))
FOLLOWERS = int(os.environ.get("FOLLOWERS", "6"))
TENANTS = ("t1", "t2")
KINDS = ("create", "update", "delete", "tenant", "template", "rebuild")
"""What is edited."""

METHODS: Mapping[What, tuple[str, ...]] = {
    What.CREATE: ("POST",),
    What.UPDATE: ("PUT",),
    What.REBUILD: ("PUT",),
    What.MOVE: ("DELETE", "POST"),
    What.REPLACE: ("DELETE", "POST"),
    What.DELETE: ("DELETE",),
}


# What Heat is asked --------------------------------------------------------------------------------


@dataclass
class HeatRecorder:
    """Stands before a Heat, passes every request on, and notes those that Heat has taken."""

    heat: servers.HeatServer
    changes: list[tuple[str, str]] = field(default_factory=list)
    """Method and stack of each request that changes something."""
    asked: Counter[str] = field(default_factory=Counter)
    """How many requests there were, by method."""
    previews: int = 0
    port: int = 0

    def environment(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self.port}/v1/%(tenant_id)s"
        return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": endpoint}

    def note(self, method: str, path: str, body: bytes, status: int) -> None:
        self.asked[method] += 1
        if path.split("?")[0].endswith("/preview"):
            self.previews += 1
            return
        if method == "GET" or not 200 <= status < 300:
            return  # A name that is not free yet is refused, and asked for again.
        name = path.split("?")[0].split("/")
        stack = json.loads(body)["stack_name"] if method == "POST" else name[4]
        self.changes.append(("PUT" if method == "PATCH" else method, stack))


@contextmanager
def recorded(heat: servers.HeatServer) -> Iterator[HeatRecorder]:
    recorder = HeatRecorder(heat)

    class Handler(QuietHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            there = http.client.HTTPConnection("127.0.0.1", heat.port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
            there.request(self.command, self.path, body or None, headers)
            answer = there.getresponse()
            content = answer.read()
            recorder.note(self.command, self.path, body, answer.status)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            there.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    with LocalServer(Handler) as server:
        recorder.port = server.port
        yield recorder


class ReadOnly:
    """A store that cannot be written: a plan is made on it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.generation, self.cluster = store.generation, store.cluster

    def get(self, key: str) -> KeyValue | None:
        return self._store.get(key)

    def get_many(self, keys: Sequence[str], *, revision: int = 0) -> Mapping[str, KeyValue]:
        return self._store.get_many(keys, revision=revision)

    def list(self, prefix: str, *, revision: int = 0, keys_only: bool = False) -> Any:
        return self._store.list(prefix, revision=revision, keys_only=keys_only)

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        return self._store.scan(prefix, revision)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"planning does not call {name}")


# The edits -----------------------------------------------------------------------------------------


@dataclass
class LiveEditor:
    """Random edits of networks, subnets and ports."""

    random: random.Random
    texts: int = 0
    carried_out: Counter[str] = field(default_factory=Counter)
    """How many edits of each kind the test has carried out."""

    def body(self, ref: Ref, tenant: str) -> dict[str, Json]:
        self.texts += 1
        body = {"id": ref.id, "tenant_id": tenant, "name": f"text {self.texts}"}
        if ref.type != "network":
            body["network_id"] = ref.id.rsplit("-", 1)[0]
        if ref.type == "subnet":
            body["cidr"] = f"10.{self.random.randrange(250)}.0.0/24"
        return body

    def first(self) -> dict[Ref, Mapping[str, Json]]:
        """A third of each: a subnet and a port on each network."""
        puts: dict[Ref, Mapping[str, Json]] = {}
        for number in range(RESOURCES // 3):
            name, tenant = f"net-{number}", TENANTS[number % 2]
            for ref in (
                Ref("network", name),
                Ref("subnet", f"{name}-s"),
                Ref("port", f"{name}-p"),
            ):
                puts[ref] = self.body(ref, tenant)
        return puts

    def edit(self, there: Mapping[Ref, str]) -> tuple[str, Edits]:
        """One edit of up to three resources, of a kind that was carried out least.

        :param there: the tenants of the resources that are wanted.
        """
        kind = min(KINDS, key=lambda one: (self.carried_out[one], self.random.random()))
        some = self.random.sample(sorted(there), k=min(3, len(there)))
        match kind:
            case "create":
                self.texts += 1
                name, tenant = f"new-{self.texts}", self.random.choice(TENANTS)
                refs = [Ref("network", name), Ref("port", f"{name}-p")]
                return kind, Edits({ref: self.body(ref, tenant) for ref in refs})
            case "update":
                return kind, Edits({ref: self.body(ref, there[ref]) for ref in some})
            case "delete":
                return kind, Edits({}, some[:1])
            case "tenant":
                ref = some[0]
                other = next(tenant for tenant in TENANTS if tenant != there[ref])
                return kind, Edits({ref: self.body(ref, other)})
            case "template":
                return kind, Edits({Ref("heat_template", "port"): self.template()})
            case _:
                return kind, Edits({}, rebuilds=frozenset(some[:2]))

    def template(self) -> dict[str, Json]:
        self.texts += 1
        body = dict(catalogue.load().documents["port"])
        body["template_file"] = f"{body['template_file']}\n# {self.texts}\n"
        return body


# The system ----------------------------------------------------------------------------------------


@dataclass
class SavedPlan:
    """A running system whose configs are written by saved plans."""

    running: System
    heat: HeatRecorder
    folder: Path

    def plan(self, edits: Edits) -> MadePlan:
        """A plan, made without a write and without a request that changes something."""
        ground = PlanGround(
            ReadOnly(self.running.store),
            self.running.keys,
            catalogue.load().templates,
            BrakeLimits(),
            renderer.shared().render,
        )
        before = len(self.heat.changes)
        made = make(ground, edits)
        assert len(self.heat.changes) == before
        return made

    def carry_out(self, made: MadePlan, edits: Edits) -> Counter[tuple[str, str]]:
        """What Heat was asked when a saved plan was carried out."""
        running, file = self.running, self.folder / "plan"
        before = len(self.heat.changes)
        saved.save(made, file)
        saved.carry_out(running.store, running.keys, saved.read(file))
        found = read_all(running.store, running.keys)
        asked = verb("rebuild", "alice", None)
        rebuilding.ask(running.store, found, sorted(edits.rebuilds), asked)
        self.settle()
        return Counter(self.heat.changes[before:])

    def settle(self) -> None:
        """Until nothing is under way: no resource, no job, no request of a person."""
        running = self.running
        found = until(running.store, running.keys, Goal(), 240)
        assert not found.moving, [str(one) for one in found.moving[:5]]
        running.await_quiet(120)
        running.until(lambda: not running.below(running.keys.retries))

    def finish_deletions(self) -> None:
        """The API server removes what is deleted."""
        running = self.running
        found = read_all(running.store, running.keys)
        marked = [ref for ref, wanted in found.wanted.items() if wanted.marked_for_deletion]
        for ref in marked:
            assert running.worker_state(ref) == "DELETE_COMPLETED", running.state(ref)
            running.remove(ref)
        running.until(lambda: all(running.state(ref) is None for ref in marked))
        self.settle()

    def outputs(self) -> dict[Ref | None, Json]:
        """The outputs of each stack, as they are recorded."""
        keys = self.running.keys
        return {
            keys.ref(keys.stacks, kv.key): list(StackRecord.from_json(kv.value).outputs)
            for kv in self.running.store.list(keys.stacks)[1]
        }

    def there(self) -> dict[Ref, str]:
        found = read_all(self.running.store, self.running.keys)
        return {
            ref: wanted.tenant
            for ref, wanted in found.wanted.items()
            if not wanted.marked_for_deletion and ref.type != "heat_template"
        }


def requests(made: MadePlan) -> Counter[tuple[str, str]]:
    """What Heat is asked, as the plan says."""
    return Counter(
        (method, change.ref.stack_name)
        for change in made.plan.changes
        for method in METHODS.get(change.what, ())
    )


def followers(made: MadePlan, changed: set[Ref | None]) -> Counter[tuple[str, str]]:
    """What Heat may be asked besides, as the plan says: of those that follow an output of a resource
    whose outputs have changed."""
    found = {
        then.ref
        for change in made.plan.changes
        if change.ref in changed
        for then in change.then
        if then.if_ == "output"
    }
    return Counter(("PUT", ref.stack_name) for ref in found)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedPlan]:
    folder = tmp_path_factory.mktemp("plans")
    with Processes(folder / "heat") as processes:
        heat = servers.heat(processes, delay=0.0, name_window=0.3)
        with (
            recorded(heat) as recorder,
            system(folder / "system", recorder.environment()) as running,
        ):
            yield SavedPlan(running, recorder, folder)


def test_heat_gets_the_requests_of_the_saved_plan_and_no_others(planned: SavedPlan) -> None:
    editor = LiveEditor(random.Random(7))
    first = Edits(editor.first())
    made = planned.plan(first)
    assert planned.carry_out(made, first) == requests(made)
    assert made.plan.requests == 3 * (RESOURCES // 3)

    kinds = editor.carried_out
    followed = 0
    while sum(kinds.values()) < EDITS:
        kind, edits = editor.edit(planned.there())
        try:
            made = planned.plan(edits)
        except InvalidInput as error:
            assert "is used by" in str(error)
            continue
        before = planned.outputs()
        asked = planned.carry_out(made, edits)
        after = planned.outputs()
        changed = {ref for ref in before.keys() & after.keys() if before[ref] != after[ref]}
        assert not requests(made) - asked, (kind, edits, made.plan.to_json())
        besides = asked - requests(made)
        assert besides <= followers(made, changed), (kind, edits, made.plan.to_json())
        followed += besides.total()
        planned.finish_deletions()
        kinds[kind] += 1
    assert len(kinds) == len(KINDS), kinds
    assert followed > 0


def test_planning_asks_heat_for_nothing_at_all(planned: SavedPlan) -> None:
    planned.settle()
    before = dict(planned.heat.asked)
    made = planned.plan(Edits({Ref("network", "x"): {"id": "x", "tenant_id": "t1"}}))

    assert requests(made) == {("POST", "network_x"): 1}
    assert dict(planned.heat.asked) == before


def test_heats_own_preview_is_asked_for_and_changes_nothing(planned: SavedPlan) -> None:
    network, new = Ref("network", "shown"), Ref("network", "preview")
    first = Edits({network: {"id": network.id, "tenant_id": "t1", "name": "first"}})
    planned.carry_out(planned.plan(first), first)
    documents = [
        {"type": ref.type, "id": ref.id, "body": {"tenant_id": "t1", "name": "previewed"}}
        for ref in (network, new)
    ]
    file = planned.folder / "documents.json"
    file.write_text(json.dumps(documents))
    changes, previews = list(planned.heat.changes), planned.heat.previews
    told = planned.running.command("plan", "-f", str(file), "--heat", "-o", "json")

    assert told.returncode == 0, told.stderr
    heat = {change["id"]: change["heat"] for change in json.loads(told.stdout)["changes"]}
    assert any("OS::Neutron::Net" in one for one in heat["preview"]["added"]), heat
    assert not heat[network.id].get("error") and heat[network.id], heat
    assert planned.heat.changes == changes and planned.heat.previews == previews + 2


# Outputs that change -------------------------------------------------------------------------------

SAYS: dict[str, Any] = {
    "template_file": (
        "heat_template_version: 2018-08-31\n"
        "parameters: {name: {type: string}, network: {type: string, default: ''}}\n"
        "outputs: {id: {value: {get_param: name}}}\n"
    ),
    "parameter_mappings": {"name": "Pname"},
}
"""A template whose output is the name of its resource."""


def test_users_of_a_changed_output_are_updated_once_each_and_others_never(
    planned: SavedPlan,
) -> None:
    """The same value updates nobody."""
    running = planned.running
    uses = {"name": "Pname", "network": "Mnetwork:network_id:id"}
    running.put("heat_template", "network", 9, **SAYS)
    running.put("heat_template", "port", 9, **{**SAYS, "parameter_mappings": uses})
    said, other = (running.put("network", name, name=name) for name in ("said", "other"))
    users = [
        running.put("port", f"u{n}", network_id=said.id, name="user") for n in range(FOLLOWERS)
    ]
    stranger = running.put("port", "stranger", network_id=other.id, name="stranger")
    for ref in (*users, stranger):
        running.await_state(ref, "CREATE_COMPLETED", timeout=240)
    planned.settle()

    for version, name, follow in ((2, "another", True), (3, "another", False)):
        before = len(planned.heat.changes)
        running.put("network", said.id, version, name=name, note=str(version))
        running.await_state(said, "MODIFY_COMPLETED", version)
        planned.settle()
        expected = [said, *users] if follow else [said]
        asked = Counter(planned.heat.changes[before:])
        assert asked == {("PUT", ref.stack_name): 1 for ref in expected}
