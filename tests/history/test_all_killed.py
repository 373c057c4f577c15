"""The history of fifty resources whose bridges, workers and historian are killed on the way, all of them real.

It is compared with etcd's own revisions, as a separate recorder sees them, and with Heat's request log.
Set HISTORY_CHANGES to the number of changes (2000); without it the test is skipped.
``test_historian`` tells a smaller story with every run.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import heat, history
from tests.chaos.facts import Facts, Operation
from tests.chaos.ledger import JOBS, OWN
from tests.chaos.setting import ChaosProcess, ChaosSetting, setting

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        "HISTORY_CHANGES" not in os.environ, reason="set HISTORY_CHANGES to the number of changes"
    ),
]
RESOURCES = 50
KILL_EVERY = 40
"""Changes between two kills."""
PATIENCE = 300.0


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)


def put(running: ChaosSetting, number: int, version: int, *, marked: bool = False) -> None:
    body = {"id": f"n{number}", "tenant_id": f"t{number % 3}", "value": f"1.{version}"}
    document = {"body": json.dumps(body), "version": version, "marked_for_deletion": marked}
    running.client.put(f"/config/v1/nodes/n{number}", json.dumps(document))


def reported(running: ChaosSetting, number: int) -> int:
    value = running.client.get(f"/state/v1/nodes/n{number}")
    return int(json.loads(value)["version"]) if value else 0


def restart(running: ChaosSetting, dice: random.Random) -> str:
    """kill -9 of one of them; what it was."""
    chosen: ChaosProcess = dice.choice(running.members)
    with chosen.busy:
        chosen.kill()
        time.sleep(dice.uniform(0.0, 1.0))
        chosen.start()
    return chosen.name.rstrip("0123456789")


def change(
    running: ChaosSetting, changes: int, dice: random.Random
) -> tuple[list[int], Counter[str]]:
    """Write that many versions; the newest of each resource, and the kills by kind of process."""
    versions, kills = [0] * RESOURCES, Counter[str]()
    for written in range(changes):
        number = written if written < RESOURCES else dice.randrange(RESOURCES)
        versions[number] += 1
        put(running, number, versions[number])
        time.sleep(dice.uniform(0.0, 0.1))
        if written % KILL_EVERY == KILL_EVERY - 1:
            kills[restart(running, dice)] += 1
    return versions, kills


def asked_in_history(running: ChaosSetting) -> Counter[tuple[str, str]]:
    """By the historian's rows: the stack and the tag of each request that Heat took."""
    found: set[tuple[str, str]] = set()
    for key, _, value in history.read(running.database).changes:
        if key.startswith(f"{OWN}built/") and value is not None:
            _, _, kind, name, version, suffix = json.loads(value)["job"].split(":")
            found.add((f"{kind}_{name}", f"orchestrator-{version}-{suffix}"))
    return Counter(found)


def died_with(running: ChaosSetting) -> set[tuple[str, str]]:
    """The same of the jobs whose last worker died with them: nobody could record whether Heat had taken a request,
    and a newer version took the job's place."""
    steps: dict[str, str] = {}
    died = set()
    for key, _, value in history.read(running.database).changes:
        if not key.startswith(f"{OWN}runs/"):
            continue
        if value is None and steps.get(key) == "claimed":
            _, _, kind, name, version, suffix = key.split(":")
            died.add((f"{kind}_{name}", f"orchestrator-{version}-{suffix}"))
        steps[key] = json.loads(value)["step"] if value else ""
    return died


def asked_of_heat(operations: list[Operation]) -> Counter[tuple[str, str]]:
    return Counter((operation.stack, operation.tag) for operation in operations)


def test_the_history_equals_etcds_revisions_and_heats_request_log(tmp_path: Path) -> None:
    changes, dice = int(os.environ["HISTORY_CHANGES"]), random.Random(15)
    wanted = {"bridges": 2, "workers": 2, "resources": 1, "tenants": 3}
    with setting(tmp_path, 15, rate=1.0, **wanted) as running:
        running.mood.fail_rate = 0.0
        versions, kills = change(running, changes, dice)
        until(lambda: all(reported(running, n) == versions[n] for n in range(RESOURCES)))
        until(lambda: not running.client.keys(JOBS) and not running.client.keys(f"{OWN}runs/"))
        operations = heat.operations(running.heat)
        running.recorder.await_revision(running.client.put("/chaos/end", "now"))
        facts = Facts(list(running.recorder.events), operations)
        until(lambda: not list(history.differences(facts, history.read(running.database))))

        written = history.read(running.database)
        assert written.gaps == []
        asked, known = asked_of_heat(operations), asked_in_history(running)
        assert max(asked.values()) == 1, "nothing was asked twice"
        assert known <= asked
        unknown = asked - known
        assert unknown.keys() <= died_with(running)
        assert min(kills[kind] for kind in ("bridge", "worker", "historian")) > 0
        print(
            f"{changes} changes, kills {dict(kills)}, {len(operations)} requests to Heat, of which"
            f" {len(unknown)} by workers that died in them,"
            f" {len(facts.events)} events of etcd, {len(written.changes)} rows"
        )
