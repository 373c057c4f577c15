"""The alarms for Prometheus: each asks for what a program tells, the documentation has it, it fires on
a recorded outage, and it is silent on an hour of ordinary work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from orchestrator.core.refs import Ref
from orchestrator.errors import HeatUnavailable, ProjectRefused
from orchestrator.events import EventName
from orchestrator.metrics.shapes import Metric, Program

from tests import factories
from tests.promtool import promtool

from .recording import INTERVAL, Hook, Recording, ordinary

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "k8s" / "components" / "prometheus" / "rules.yaml"
BRIDGE = ROOT / "orchestrator" / "bridge"
COUNTED = {
    "orchestrator_events_total": ("orchestrator/bridge",),
    "orchestrator_worker_events_total": ("tasks", "orchestrator/clients"),
    "orchestrator_historian_events_total": ("orchestrator/history",),
}
"""Where the events of a metric are counted."""

BEGIN = 10
"""The minute in which an outage begins."""


def groups() -> Any:
    return yaml.safe_load(RULES.read_text())["spec"]["groups"]


def rules() -> list[dict[str, Any]]:
    (group,) = groups()
    return list(group["rules"])


def asked(pattern: str) -> set[str]:
    """What the expressions of all alarms ask for."""
    return {found for rule in rules() for found in re.findall(pattern, rule["expr"])}


def source(*folders: str) -> str:
    return "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_every_alarm_asks_for_metrics_that_a_program_has() -> None:
    known = {series for metric in Metric for series in metric.value.series}
    metrics = asked(r"\borchestrator_\w+")
    assert metrics
    assert metrics <= known


def test_every_event_that_an_alarm_asks_for_is_counted_by_its_program() -> None:
    for metric, folders in COUNTED.items():
        names = {
            name
            for found in asked(rf'\b{metric}\{{event=~?"([\w|]+)"')
            for name in found.split("|")
        }
        counted = source(*folders)
        assert names
        assert {n for n in names if f"count(EventName.{n.upper()})" not in counted} == set()


def test_every_kind_that_an_alarm_asks_for_is_told_by_a_bridge() -> None:
    names = asked(r'kind="(\w+)"')
    assert names
    assert {name for name in names if f'"{name}"' not in source("orchestrator/bridge")} == set()


def test_every_alarm_says_what_to_do_and_is_documented() -> None:
    page = (ROOT / "docs" / "howto" / "monitoring.md").read_text()
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert f"`{rule['alert']}`" in page


# Outages ------------------------------------------------------------------------------------------------


def nobody_leads(recording: Recording) -> None:
    recording.leads = False
    recording.health.standing_by()


def told(program: Program, event: EventName) -> Callable[[Recording], None]:
    """Something that these doubles do not do by themselves."""
    return lambda recording: recording.count(program, event)


def many_are_removed(recording: Recording) -> None:
    recording.system.remove(*(Ref("network", f"n{n}") for n in range(BEGIN)))


def redis_is_away(recording: Recording) -> None:
    recording.system.queue.available = False


def no_worker_is_there(recording: Recording) -> None:
    recording.works = False


def the_leader_does_not_decide(recording: Recording) -> None:
    recording.system.term._times.seen(Ref("network", "stuck"), recording.system.clock.now)


def the_project_is_refused(recording: Recording) -> None:
    refusal = ProjectRefused(factories.TENANT, "there is no such project, or no role in it")
    recording.system.outcome = lambda stack: None
    for _ in range(200):
        recording.system.heat.fail_next(refusal, "in_progress")


def terms_end(recording: Recording) -> None:
    recording.count(Program.BRIDGE, EventName.TERM_ENDED)


def heat_is_away(recording: Recording) -> None:
    for _ in range(100):
        recording.system.heat.fail_next(HeatUnavailable("Heat does not answer"))
    for _ in range(5):
        recording.worker.note_request("GET", 503, 60.0)


def workers_are_far_too_slow(recording: Recording) -> None:
    """While they have only polls to do, for a stack that takes long."""
    recording.system.outcome = lambda stack: None
    recording.pause, recording.quiet = 40.0, True


def every_stack_fails(recording: Recording) -> None:
    recording.system.outcome = lambda stack: {"status": "FAILED"}


def no_stack_can_be_deleted(recording: Recording) -> None:
    def outcome(stack: Any) -> dict[str, str]:
        return {"status": "FAILED" if stack.status.startswith("DELETE") else "COMPLETE"}

    recording.system.outcome, recording.quiet = outcome, True
    recording.system.remove(Ref("network", "n1"))


def somebody_deletes_a_stack(recording: Recording) -> None:
    recording.system.heat.remove(Ref("network", "n1").stack_name, tenant=factories.TENANT)


def somebody_changes_a_stack(recording: Recording) -> None:
    heat = recording.system.heat
    stack = heat.stacks(factories.TENANT)[Ref("network", "n1").stack_name]
    heat.put(factories.TENANT, replace(stack, status="UPDATE_FAILED"))


def the_list_of_types_is_broken(recording: Recording) -> None:
    recording.health.schemas("the list cannot be read", refused=True)


def the_database_is_away(recording: Recording) -> None:
    recording.historian.read(100_000, 20_000)


OUTAGES: dict[str, tuple[Callable[[Recording], None], int, Sequence[str]]] = {
    "nobody leads": (nobody_leads, 5, ["NobodyLeads"]),
    "etcd restored": (
        told(Program.BRIDGE, EventName.HISTORY_CHANGED),
        5,
        ["EtcdRestored"],
    ),
    "other settings": (told(Program.BRIDGE, EventName.IDENTITY_DIFFERS), 5, ["IdentityDiffers"]),
    "mass deletion": (many_are_removed, 5, ["DeletionsHeld"]),
    "Redis away": (redis_is_away, 5, ["BrokerAway"]),
    "no worker": (no_worker_is_there, 15, ["MessagesWait", "NoWorkerTakesJobs"]),
    "no decision": (the_leader_does_not_decide, 6, ["ChangesUndecided"]),
    "credentials": (
        told(Program.WORKER, EventName.CREDENTIALS_REJECTED),
        5,
        ["CredentialsRejected"],
    ),
    "etcd lost": (terms_end, 8, ["TermsEnd"]),
    "project refused": (the_project_is_refused, 12, ["PollsRefused"]),
    "slow workers": (
        workers_are_far_too_slow,
        25,
        ["MessagesWait", "PollsLate"],
    ),
    "Heat away": (heat_is_away, 18, ["CircuitsOpen", "HeatFails"]),
    "all fail": (every_stack_fails, 35, ["Failures", "ManyVersionsFail"]),
    "bug": (told(Program.WORKER, EventName.TASK_DEFECT), 5, ["WorkerDefect"]),
    "types": (the_list_of_types_is_broken, 15, ["SchemasRefused"]),
    "history behind": (the_database_is_away, 15, ["HistorianBehind"]),
    "history gap": (told(Program.HISTORIAN, EventName.HISTORIAN_GAP), 5, ["HistorianGap"]),
    "stack gone": (somebody_deletes_a_stack, 18, ["StacksLost"]),
    "stack changed": (somebody_changes_a_stack, 44, ["StacksDiffer"]),
    "no deletion": (no_stack_can_be_deleted, 40, ["DeletionsFail", "Failures"]),
}
"""What happens, how many minutes are recorded of it, and which alarms fire."""

LASTING = (terms_end, heat_is_away)
"""These happen again every minute."""


def test_there_is_an_outage_for_every_alarm() -> None:
    expected = {f"Orchestrator{name}" for _, _, names in OUTAGES.values() for name in names}
    assert expected == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_fires_its_alarms_and_no_others(name: str, tmp_path: Path) -> None:
    begin, minutes, names = OUTAGES[name]
    recording = Recording(minutes=BEGIN + minutes)
    recording.run(ordinary, at(BEGIN, begin))

    check(tmp_path, recording, names)


def test_an_hour_of_ordinary_work_fires_no_alarm(tmp_path: Path) -> None:
    recording = Recording(minutes=60, ups_and_downs=True).run(ordinary)
    events = {event for program, event, _ in recording._events() if program is Program.BRIDGE}

    assert {
        EventName.JOB_DONE,
        EventName.JOB_NOT_RUN,
        EventName.ROOT_REPAIRED,
        EventName.BROKER_UNAVAILABLE,
        EventName.JOB_RETRY,
        EventName.TERM_BEGUN,
    } <= events, "it has its small troubles"
    check(tmp_path, recording, ())


def at(minute: int, begin: Callable[[Recording], None]) -> Hook:
    """From that minute on."""

    def hook(recording: Recording, now: int) -> None:
        if now == minute or (now > minute and begin in LASTING):
            begin(recording)

    return hook


def check(folder: Path, recording: Recording, names: Sequence[str]) -> None:
    """Have promtool say that exactly these alarms fire within the recording."""
    wanted = asked(r"\borchestrator_\w+")
    fired = 'max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[2h]))'
    samples = [{"labels": f'{{alertname="Orchestrator{name}"}}', "value": 1} for name in names]
    series = [
        {"series": name, "values": " ".join(values)}
        for name, values in recording.series.items()
        if name.partition("{")[0] in wanted
    ]
    (folder / "rules.json").write_text(json.dumps({"groups": groups()}))
    test = {
        "interval": f"{INTERVAL:g}s",
        "input_series": series,
        "promql_expr_test": [
            {"expr": fired, "eval_time": f"{recording.minutes}m", "exp_samples": samples}
        ],
    }
    document = {"rule_files": ["rules.json"], "evaluation_interval": "15s", "tests": [test]}
    (folder / "test.json").write_text(json.dumps(document))
    promtool("test", "rules", folder / "test.json")
