"""Keys to values and back."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.keys import Keys, Prefixes, UnknownPlace
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.schemas import parse_schemas
from orchestrator.errors import InvalidInput

from tests.factories import keys

KEYS = keys()
OTHER = keys(
    config="/a/config", state="/state_watch/state", monitoring="/m", jobs="/a/jobs", worker="/a/w"
)
P1 = Ref("port", "p1")
JOB = JobId("create:heat_worker:port:p1:1:aaaaa")


def test_the_keys_of_one_resource_are_the_contracts() -> None:
    folders = (KEYS.config, KEYS.state, KEYS.monitoring, KEYS.stacks, KEYS.job_states)

    assert [KEYS.below(folder, P1) for folder in folders] == [
        "/config/v2.0/ports/p1",
        "/state/v2.0/ports/p1",
        "/monitoring/v2.0/ports/p1",
        "/esi-worker/heat_stacks/v2.0/ports/p1",
        "/esi-worker/job_state/v2.0/ports/p1",
    ]
    assert KEYS.job(JOB) == "/jobs/all/create:heat_worker:port:p1:1:aaaaa"
    assert KEYS.template("port") == "/config/v2.0/heat_templates/port"


def test_our_own_keys_lie_below_one_folder() -> None:
    ours = (KEYS.handled, KEYS.held, KEYS.failed, KEYS.runs, KEYS.leader)

    assert [key.removeprefix(KEYS.own) for key in ours] == [
        "handled/",
        "held/",
        "failed/",
        "runs/",
        "leader",
    ]
    assert KEYS.own == "/esi-worker/orchestrator/"


def test_every_prefix_can_be_changed() -> None:
    assert OTHER.below(OTHER.config, P1) == "/a/config/v2.0/ports/p1"
    assert OTHER.below(OTHER.state, P1) == "/state_watch/state/v2.0/ports/p1"
    assert OTHER.below(OTHER.monitoring, P1) == "/m/v2.0/ports/p1"
    assert OTHER.job(JOB) == f"/a/jobs/all/{JOB}"
    assert OTHER.leader == "/a/w/orchestrator/leader"


def test_the_defaults_are_the_contracts() -> None:
    assert Prefixes() == Prefixes("/config", "/state", "/monitoring", "/jobs", "/esi-worker")


@pytest.mark.parametrize("chosen", [KEYS, OTHER], ids=["default prefixes", "other prefixes"])
@pytest.mark.parametrize(
    "identity",
    ["p1", "a:b:c", "ü", "with space", "%2F"],
    ids=["plain", "colons", "umlaut", "space", "percent"],
)
def test_a_resources_key_leads_back_to_it(chosen: Keys, identity: str) -> None:
    ref = Ref("port", identity)
    for folder in (chosen.config, chosen.state, chosen.stacks, chosen.handled):
        assert chosen.ref(folder, chosen.below(folder, ref)) == ref


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("/config/v2.0/unknowns/x", id="unknown type"),
        pytest.param("/config/v2.0/ports/", id="no id"),
        pytest.param("/config/v2.0/ports", id="the folder itself"),
        pytest.param("/config/", id="nothing"),
        pytest.param("/config/x", id="no folder"),
        pytest.param("/state/v2.0/ports/p1", id="another prefix"),
        pytest.param("/configuration/v2.0/ports/p1", id="a longer prefix"),
        pytest.param("/config/v2.0/ports/p1/more", id="too deep"),
    ],
)
def test_a_key_of_no_resource_leads_nowhere(key: str) -> None:
    assert KEYS.ref(KEYS.config, key) is None


def test_the_key_of_an_unknown_type_cannot_be_made() -> None:
    with pytest.raises(KeyError, match="unknown"):
        KEYS.below(KEYS.config, Ref("unknown", "x"))


@pytest.mark.parametrize(
    ("key", "template"),
    [
        pytest.param("/config/v2.0/heat_templates/port", "port", id="a template"),
        pytest.param("/config/v2.0/heat_templates/a/b", "a/b", id="a slash in the id"),
        pytest.param("/config/v2.0/heat_templates/", None, id="the folder"),
        pytest.param("/config/v2.0/ports/p1", None, id="a resource"),
    ],
)
def test_templates_have_keys_of_their_own(key: str, template: str | None) -> None:
    assert KEYS.template_id(key) == template


@pytest.mark.parametrize(
    ("tenant", "folder"),
    [
        pytest.param("t1", "t1/", id="plain"),
        pytest.param("", "%/", id="none"),
        pytest.param("a/b", "a%2Fb/", id="slash"),
        pytest.param("..", "../", id="dots"),
        pytest.param("ü %", "%C3%BC%20%25/", id="odd"),
    ],
)
def test_runs_lie_by_tenant(tenant: str, folder: str) -> None:
    key = KEYS.run(tenant, JOB)

    assert key == f"/esi-worker/orchestrator/runs/{folder}{JOB}"
    assert key.startswith(KEYS.tenant_runs(tenant))
    assert (KEYS.run_tenant(key), KEYS.run_job(key)) == (tenant, JOB)


def test_the_runs_of_one_tenant_are_not_those_of_another_with_a_longer_name() -> None:
    assert not KEYS.run("t10", JOB).startswith(KEYS.tenant_runs("t1"))


def test_a_tenant_whose_name_is_a_dash_is_not_the_missing_one() -> None:
    assert [KEYS.run_tenant(KEYS.run(tenant, JOB)) for tenant in ("-", "%", "")] == ["-", "%", ""]


def test_a_job_id_may_hold_a_slash() -> None:
    odd = JobId("create:heat_worker:port:a/b:1:aaaaa")

    assert KEYS.job_id(KEYS.job(odd)) == odd
    assert KEYS.run_job(KEYS.run("t1", odd)) == odd


# Keys that are made of more than the id ---------------------------------------------------------------

VM = Ref("vm", "v1")
VM_BODY = {"id": "v1", "device_id": "d7"}


def templated(**metadata: Any) -> Keys:
    form = "/v1.0/devices/{{device_id}}/vms/{{ id }}"
    entry = {"id": "vm", "url": "/v1.0/vms", "metadata": {"sync_key_template": form, **metadata}}
    return Keys(Prefixes(), parse_schemas([entry, {"id": "device", "url": "/v1.0/devices"}]))


def test_a_key_template_says_where_the_records_of_other_programs_lie() -> None:
    keys = templated()
    with pytest.raises(UnknownPlace):
        keys.below(keys.config, VM)
    assert not keys.is_placed(VM)
    keys.place(VM, VM_BODY)

    assert keys.is_placed(VM)
    assert keys.below(keys.config, VM) == "/config/v1.0/devices/d7/vms/v1"
    assert keys.below(keys.state, VM) == "/state/v1.0/devices/d7/vms/v1"
    assert keys.below(keys.handled, VM) == "/esi-worker/orchestrator/handled/v1.0/vms/v1"
    assert keys.below(keys.config, Ref("device", "d7")) == "/config/v1.0/devices/d7"


@pytest.mark.parametrize(
    "folder",
    [
        "config",
        "state",
        "monitoring",
        "stacks",
        "job_states",
        "handled",
        "held",
        "failed",
        "retries",
    ],
)
def test_a_key_of_a_type_with_a_key_template_reads_back(folder: str) -> None:
    keys = templated()
    keys.place(VM, VM_BODY)
    fresh = templated()

    key = keys.below(getattr(keys, folder), VM)
    assert fresh.ref(getattr(fresh, folder), key) == VM
    assert fresh.is_placed(VM) == (not getattr(fresh, folder).startswith(fresh.own)), (
        "only a key of the contract tells the place"
    )


def test_configs_may_lie_outside_the_config_prefix() -> None:
    keys = templated(sync_skip_config_prefix=True)
    key = "/v1.0/devices/d7/vms/v1"

    assert keys.config_folders == ("/config/", "/v1.0/devices/")
    assert keys.is_config(key) and not keys.is_config("/state" + key)
    assert keys.ref(keys.config, key) == VM
    assert keys.below(keys.config, VM) == key
    assert keys.below(keys.state, VM) == "/state/v1.0/devices/d7/vms/v1"
    assert keys.ref(keys.config, "/config/v1.0/devices/d7/vms/v1") is None
    assert keys.ref(keys.config, "/config/v1.0/devices/d7") == Ref("device", "d7")


def test_a_place_that_needs_the_id_alone_is_known_at_once() -> None:
    entry = {
        "id": "vm",
        "url": "/v1.0/vms",
        "metadata": {"sync_key_template": "/v1.0/vm/{{id}}/config"},
    }
    keys = Keys(Prefixes(), parse_schemas([entry]))
    assert keys.below(keys.config, VM) == "/config/v1.0/vm/v1/config"


@pytest.mark.parametrize("folder", ["/state/x", "/esi-worker", "/gohan/v", "/config/a"])
def test_configs_cannot_lie_where_other_records_do(folder: str) -> None:
    metadata = {"sync_key_template": folder + "/{{id}}", "sync_skip_config_prefix": True}
    types = parse_schemas([{"id": "vm", "url": "/v1.0/vms", "metadata": metadata}])
    with pytest.raises(InvalidInput, match="the configs of type vm would lie below"):
        Keys(Prefixes(), types)


def test_a_key_that_is_not_utf8_is_nobodys() -> None:
    assert KEYS.ref(KEYS.config, "/config/v2.0/ports/\udcff") is None
