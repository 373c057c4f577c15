"""What Heat would be asked today for the version that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.clients.places import config_key, locate
from orchestrator.clients.store import KeyValue
from orchestrator.core import records
from orchestrator.core.forecast.requests import Outputs, asked, job_of
from orchestrator.core.keys import Keys, UnknownPlace
from orchestrator.core.records import Handled, StackRecord
from orchestrator.core.refs import Json, Ref
from orchestrator.core.rendering import StackRequest, policies_of
from orchestrator.core.resources import Wanted, parse_config
from orchestrator.core.templates import BadTemplate, Template
from orchestrator.core.world import World
from orchestrator.errors import OrchestratorError

from ..context import WorkerContext

_NO_OUTPUTS: Mapping[str, Json] = {}


@dataclass(frozen=True, slots=True)
class ExpectedRequest:
    """The request that would be made today; None where it cannot be said, and *why* not."""

    request: StackRequest | None
    why: str = ""
    ignore: tuple[str, ...] = ()
    """Names that the template says may differ (``heat_drift_ignore``)."""


def expect(
    context: WorkerContext, keys: Keys, ref: Ref, handled: Handled | None
) -> ExpectedRequest:
    """The request for the version that was handled last."""
    if handled is None or not handled.job or handled.sent != handled.job:
        return ExpectedRequest(None, "the last version did not come to Heat")
    template = context.template(
        ref.type,
        handled.template,
        context.store.get(keys.template(handled.template)),
    )
    if template is None or isinstance(template, BadTemplate):
        return ExpectedRequest(None, "its template cannot be used any more")
    try:
        return _expected(context, keys, ref, handled, template)
    except (OrchestratorError, *records.UNREADABLE):
        return ExpectedRequest(None, "what it is built from cannot be read")


def _expected(
    context: WorkerContext,
    keys: Keys,
    ref: Ref,
    handled: Handled,
    template: Template,
) -> ExpectedRequest:
    others = sorted(handled.refs() - {ref})
    locate(context.store, keys, others)
    found = context.store.get_many(list(_places(keys, others)))
    wanted = Wanted(ref, handled.version, handled.body)
    configs = {ref: wanted, **_configs(keys, others, found)}
    world = World(
        keys.schemas, wanted=configs, templates={template.id: template}
    )
    job = job_of(world, wanted, template)
    if job is None:
        return ExpectedRequest(None, "a resource that it refers to is gone")
    ignore = policies_of(job.params).drift_ignore
    outputs = Outputs(lambda other: _outputs(keys, other, found))
    forecast = asked(job, template, outputs, context.renderer.render)
    if forecast.missing or forecast.request is None:
        why = "an output that it is built from is missing"
        return ExpectedRequest(None, why, ignore)
    return ExpectedRequest(forecast.request, "", ignore)


def _places(keys: Keys, refs: list[Ref]) -> dict[str, Ref]:
    """The keys of configs and stack records."""
    places: dict[str, Ref] = {}
    for ref in refs:
        try:
            places[config_key(keys, ref)] = ref
            places[keys.below(keys.stacks, ref)] = ref
        except (KeyError, UnknownPlace):
            continue  # Its type or its place is gone: the mapping tells.
    return places


def _configs(
    keys: Keys, refs: list[Ref], found: Mapping[str, KeyValue]
) -> dict[Ref, Wanted]:
    configs: dict[Ref, Wanted] = {}
    for key, ref in _places(keys, refs).items():
        kv = found.get(key)
        if kv is None or not keys.is_config(key):
            continue
        parsed = parse_config(
            keys,
            key,
            kv.value,
            incarnation=kv.created,
            revision=kv.revision,
        )
        if isinstance(parsed, Wanted):
            configs[ref] = parsed
    return configs


def _outputs(
    keys: Keys, ref: Ref, found: Mapping[str, KeyValue]
) -> Mapping[str, Json]:
    try:
        kv = found.get(keys.below(keys.stacks, ref))
    except (KeyError, UnknownPlace):
        kv = None
    if kv is None:
        return _NO_OUTPUTS
    return StackRecord.from_json(kv.value).outputs_by_key()
