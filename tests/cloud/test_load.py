"""Many stacks in many projects, while things go wrong: nothing fails that Heat did not fail.

``CLOUD_STACKS`` (60) is how many stacks there are, ``CLOUD_FREEZE`` (120) for how many seconds
Keystone is frozen. The numbers that are measured are printed as one JSON line each, with ``-s``.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Sequence

from orchestrator.core.refs import Ref

from tests.integration.system import System

from . import cloud as clouds
from .cloud import RealCloud
from .servers import Api

STACKS = int(os.environ.get("CLOUD_STACKS", "60"))
PROJECTS = 10
FREEZE = float(os.environ.get("CLOUD_FREEZE", "120"))
LONG = 1800.0
"""Seconds after which a test gives up."""


def last(seconds: float) -> None:
    """Let the trouble last for so long."""
    time.sleep(seconds)


SLOW = 90
"""Seconds that Heat needs for a stack, where a test wants it at work."""


def put_all(
    nodes: System, projects: Sequence[str], prefix: str, stacks: int, seconds: int = 0
) -> list[Ref]:
    """So many nodes, spread over the projects.

    :param seconds: how long Heat needs for each.
    """
    turn = itertools.cycle(projects)
    return [
        nodes.put("node", f"{prefix}{n}", tenant_id=next(turn), seconds=seconds)
        for n in range(stacks)
    ]


def is_reported(nodes: System, refs: Sequence[Ref], version: int = 1) -> bool:
    return all(nodes.worker_state(ref, version) is not None for ref in refs)


def await_all(nodes: System, refs: Sequence[Ref], version: int = 1) -> None:
    """Until all are reported.

    :raises AssertionError: one has failed.
    """

    def missing() -> str:
        return str([ref for ref in refs if nodes.worker_state(ref, version) is None][:5])

    nodes.until(lambda: is_reported(nodes, refs, version), LONG, missing)
    errors = {str(ref): nodes.state(ref)["error"] for ref in refs}
    assert not any(errors.values()), {ref: error for ref, error in errors.items() if error}


def in_heat(nodes: System, refs: Sequence[Ref]) -> int:
    """How many of the stacks Heat works on."""
    waiting = [kv for kv in nodes.store.list(nodes.keys.runs)[1] if b'"waiting"' in kv.value]
    return sum(any(f":{ref}:" in kv.key for kv in waiting) for ref in refs)


def requests(api: Api, start: int) -> int:
    """How many requests the workers have made since."""
    return sum(request["agent"] == "orchestrator" for request in api.requests(start))


def logs_in(cloud: RealCloud) -> bool:
    """Whether the workers' account is not locked."""
    project = next(iter(cloud.projects))
    return bool(cloud.identity.token(clouds.USER, cloud.password, project))


def clean(nodes: System, refs: Sequence[Ref]) -> None:
    for ref in refs:
        nodes.remove(ref)
    nodes.until(lambda: not nodes.below(nodes.keys.stacks), LONG)


def test_many_stacks_in_many_projects_cost_few_requests(cloud: RealCloud, nodes: System) -> None:
    projects = [cloud.project(f"load{n}") for n in range(PROJECTS)]
    keystone, heat = cloud.keystone.mark(), cloud.heat.mark()
    refs = put_all(nodes, projects, "n", STACKS)
    await_all(nodes, refs)
    counts = {
        "keystone": requests(cloud.keystone, keystone),
        "heat": requests(cloud.heat, heat),
        "stacks": STACKS,
    }
    print(json.dumps({"test": "load", **counts}))
    clean(nodes, refs)

    # A token for each project, and one more where its life was over meanwhile, come on top.
    assert logs_in(cloud)


def test_a_frozen_keystone_fails_nothing(cloud: RealCloud, nodes: System) -> None:
    projects = [cloud.project(f"frozen{n}") for n in range(3)]
    before = put_all(nodes, projects, "before", 6, SLOW)
    nodes.until(lambda: in_heat(nodes, before) > 0, LONG)
    os.killpg(cloud.keystone.process.pid, signal.SIGSTOP)
    try:
        during = put_all(nodes, projects, "during", 6)
        last(FREEZE)
        assert not any(nodes.state(ref) and nodes.state(ref)["error"] for ref in during)
    finally:
        os.killpg(cloud.keystone.process.pid, signal.SIGCONT)
    await_all(nodes, [*before, *during])
    clean(nodes, [*before, *during])
    assert logs_in(cloud)


def test_stacks_that_a_dead_engine_leaves_in_progress_can_be_deleted(
    cloud: RealCloud, nodes: System
) -> None:
    """With convergence, Heat lets some of them be in progress until their timeout is over."""
    project = cloud.project("engines")
    refs = put_all(nodes, [project], "n", 12, SLOW)
    nodes.until(lambda: in_heat(nodes, refs) > 3, LONG)
    cloud.engines["engine-1"].kill()
    last(20.0)
    cloud.start_engine("engine-1")
    last(2 * SLOW)
    ended = [ref for ref in refs if nodes.state(ref)]
    print(json.dumps({"test": "engine", "stacks": len(refs), "ended": len(ended)}))
    assert [nodes.state(ref)["error"] for ref in ended] == [""] * len(ended)

    clean(nodes, refs)


def test_a_password_that_is_rotated_under_running_stacks_fails_and_locks_nothing(
    cloud: RealCloud, nodes: System
) -> None:
    project = cloud.project("rotated")
    refs = put_all(nodes, [project], "n", 12, SLOW)
    nodes.until(lambda: in_heat(nodes, refs) > 3, LONG)
    mark = cloud.keystone.mark()
    cloud.identity.change_password(cloud.user, "second-password")
    cloud.password = "second-password"
    more = put_all(nodes, [project], "m", 6)
    last(90.0)
    refused = [r for r in cloud.keystone.requests(mark) if is_refused_login(r)]
    print(json.dumps({"test": "rotation", "refused logins in 90 s": len(refused)}))
    assert logs_in(cloud), "the account is not locked"

    for worker in nodes.workers:
        worker.stop()
    nodes.environment |= cloud.environment()
    nodes.worker()
    await_all(nodes, [*refs, *more])
    clean(nodes, [*refs, *more])


def is_refused_login(request: dict[str, object]) -> bool:
    login = (request["method"], request["path"]) == ("POST", "/v3/auth/tokens")
    return login and request["status"] == 401 and request["agent"] == "orchestrator"


def test_a_role_that_is_taken_and_given_again_fails_nothing(
    cloud: RealCloud, nodes: System
) -> None:
    project, other = cloud.project("taken"), cloud.project("kept")
    refs = put_all(nodes, [project], "n", 6, SLOW)
    nodes.until(lambda: in_heat(nodes, refs) > 0, LONG)
    cloud.identity.take(clouds.ROLE, cloud.user, project=project)
    mark = cloud.keystone.mark()
    more = put_all(nodes, [project], "m", 6)
    others = put_all(nodes, [other], "o", 3)
    await_all(nodes, others)
    nodes.until(lambda: nodes.command("status").returncode == 1, LONG)
    last(60.0)
    print(json.dumps({"test": "role", "keystone in 60 s": requests(cloud.keystone, mark)}))

    cloud.identity.give(clouds.ROLE, cloud.user, project=project)
    await_all(nodes, [*refs, *more])
    clean(nodes, [*refs, *more, *others])


def test_a_project_that_is_removed_is_given_up_by_a_person(cloud: RealCloud, nodes: System) -> None:
    project = cloud.project("removed")
    refs = put_all(nodes, [project], "n", 3)
    await_all(nodes, refs)
    # Heat takes for five minutes what Keystone has said of a token: a fresh worker has none.
    nodes.workers[0].stop()
    cloud.identity.remove_project(project)
    nodes.worker()
    for ref in refs:
        nodes.remove(ref)

    def given_up() -> bool:
        return nodes.command("confirm", "project", project, "--yes").returncode == 0

    nodes.until(given_up, LONG)
    nodes.until(lambda: not nodes.below(nodes.keys.stacks), LONG)
