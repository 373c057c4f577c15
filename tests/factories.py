"""Values with legal defaults; a test names only what it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.core.jobs import Action, Job, Param, job_id
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Failed, Handled, Held
from orchestrator.core.refs import JobId, Json, Ref
from orchestrator.core.resources import Wanted
from orchestrator.core.schemas import Schemas, parse_schemas
from orchestrator.core.stacks import Stack, tag
from orchestrator.core.templates import BadTemplate, Template, parse_template
from orchestrator.core.world import Reported, World
from orchestrator.core.world import Stack as Known

TENANT = "t1"

SCHEMA_LIST: dict[str, Json] = {
    "schemas": [
        {"id": "network", "prefix": "/v2.0/networks", "metadata": {"template_path": "Cnetwork"}},
        {
            "id": "port",
            "prefix": "/v2.0/ports",
            "metadata": {"template_path": "Cport"},
            "schema": {
                "type": "object",
                "properties": {"network_id": {"type": "string", "relation": "network"}},
            },
        },
        {
            "id": "server",
            "prefix": "/v2.0/servers",
            "metadata": {"template_path": "Cserver"},
            "schema": {
                "type": "object",
                "properties": {
                    "plan_id": {"type": "string", "relation": "plan"},
                    "ports": {"type": "array", "items": {"type": "string", "relation": "port"}},
                },
            },
        },
        {"id": "plan", "prefix": "/v2.0/plans"},
        {
            "id": "image",
            "prefix": "/v2.0/images",
            "metadata": {"template_path": {"field": "template"}},
        },
        {"id": "broken", "prefix": "/v2.0/brokens", "metadata": {"template_path": "Xwhat"}},
        {"id": "node", "prefix": "/v2.0/nodes", "metadata": {"template_path": "Cnode"}},
    ]
}
"""``network`` ← ``port`` ← ``server`` by outputs, ``server`` → ``plan`` by value (nothing to build);
``image`` names its own template; ``node`` refers to any nodes: ``uses`` by output, ``reads`` by value."""

HOT = "heat_template_version: 2018-08-31\nresources: {}\n"

TEMPLATE_BODIES: dict[str, dict[str, Json]] = {
    "network": {
        "template_file": HOT,
        "parameter_mappings": {"heat_timeout": "C3", "name": "Pname"},
    },
    "port": {
        "template_file": HOT,
        "parameter_mappings": {"name": "Pname", "network": "Mnetwork:network_id:id"},
    },
    "server": {
        "template_file": HOT,
        "parameter_mappings": {
            "flavor": {"field": "flavor", "path": ["plan_id"]},
            "ports": {
                "for_field": "ports",
                "for_mapping": {"path": [{"type": "port", "id": ""}], "output_key": "id"},
            },
        },
    },
    "node": {
        "template_file": HOT,
        "parameter_mappings": {
            "uses": {
                "for_field": "uses",
                "for_mapping": {"path": [{"type": "node", "id": ""}], "output_key": "id"},
            },
            "reads": {
                "for_field": "reads",
                "for_mapping": {"field": "name", "path": [{"type": "node", "id": ""}]},
            },
        },
    },
}


def schemas() -> Schemas:
    return parse_schemas(SCHEMA_LIST)


def keys(**prefixes: str) -> Keys:
    return Keys(Prefixes(**prefixes), schemas())


def template(name: str = "network", text: str = HOT, **mappings: Json) -> Template:
    return parse_template(name, {"template_file": text, "parameter_mappings": mappings})


def templates() -> dict[str, Template]:
    return {name: parse_template(name, body) for name, body in TEMPLATE_BODIES.items()}


def network(identity: str = "n1") -> Ref:
    return Ref("network", identity)


def port(identity: str = "p1") -> Ref:
    return Ref("port", identity)


def server(identity: str = "s1") -> Ref:
    return Ref("server", identity)


def node(identity: str) -> Ref:
    return Ref("node", identity)


def body(ref: Ref, **properties: Json) -> dict[str, Json]:
    return {"id": ref.id, "tenant_id": TENANT, "name": ref.id, **properties}


def wanted(
    ref: Ref,
    version: int = 1,
    *,
    marked: bool = False,
    incarnation: int = 10,
    revision: int = 0,
    fault: str = "",
    **properties: Json,
) -> Wanted:
    """A config as written at *revision* (default: never since its creation at *incarnation*)."""
    return Wanted(
        ref,
        version,
        body(ref, **properties),
        marked,
        incarnation,
        revision or incarnation + version - 1,
        fault,
    )


def config_value(
    ref: Ref, version: int = 1, *, marked: bool = False, as_text: bool = True, **properties: Json
) -> str:
    """A value below ``/config`` as the API server writes it."""
    document = body(ref, **properties)
    return json.dumps(
        {
            "body": json.dumps(document) if as_text else document,
            "version": version,
            "marked_for_deletion": marked,
        }
    )


def job(
    ref: Ref = network(),  # noqa: B008 - a frozen value
    action: Action = Action.CREATE,
    version: int = 1,
    *,
    suffix: str = "aaaaa",
    refers_to: Iterable[Ref] = (),
    params: Iterable[Param] = (),
    waits_for: Iterable[Job] = (),
    **properties: Json,
) -> Job:
    """A job; *refers_to* are references of one parameter, *waits_for* its dependencies."""
    referring = (Param("refers", None, tuple(refers_to)),) if refers_to else ()
    return Job(
        id=job_id(action, ref, version, suffix),
        ref=ref,
        action=action,
        version=version,
        params=(*params, *referring),
        dependency=tuple(other.id for other in waits_for),
        body=body(ref, **properties),
    )


def handled(
    ref: Ref,
    version: int = 1,
    *,
    incarnation: int = 10,
    of: str = "",
    references: Mapping[str, tuple[Ref, ...]] | None = None,
    **properties: Json,
) -> Handled:
    name = JobId(of) if of else job_id(Action.CREATE, ref, version, "zzzzz")
    return Handled(
        version,
        incarnation,
        name,
        ref.type,
        TENANT,
        references or {},
        body(ref, **properties),
        sent=name,
    )


def live(status: str = "CREATE_COMPLETE") -> Known:
    """A stack by our records."""
    return Known(status, TENANT)


def deleted() -> Known:
    return Known("DELETE_COMPLETE", TENANT)


def heat_stack(
    of: Job,
    status: str = "CREATE_COMPLETE",
    *,
    tagged: Job | None = None,
    tags: Iterable[str] | None = None,
    reason: str = "",
) -> Stack:
    """The stack of a job's resource as Heat shows it; tagged by the job itself unless said otherwise."""
    return Stack(
        "uuid-1",
        of.ref.stack_name,
        status,
        reason,
        tuple(tags) if tags is not None else (tag((tagged or of).id),),
    )


def world(
    *configs: Wanted,
    built: Iterable[Wanted] = (),
    stacks: Mapping[Ref, Known] | None = None,
    handled: Mapping[Ref, Handled] | None = None,
    reported: Mapping[Ref, Reported] | None = None,
    held: Mapping[Ref, Held] | None = None,
    failed: Mapping[Ref, Failed] | None = None,
    jobs: Iterable[Job] = (),
    templates: Mapping[str, Template | BadTemplate] | None = None,
    dirty: Iterable[Ref] = (),
    again: Iterable[Ref] = (),
    types: Schemas | None = None,
) -> World:
    """What the bridge knows. *configs* are wanted and nothing else; *built* are wanted, handled, live and reported."""
    wanted = {config.ref: config for config in (*configs, *built)}
    given = templates if templates is not None else globals()["templates"]()
    found = World(types or schemas(), wanted=wanted, templates=given)
    for config in built:
        found.note_stack(config.ref, live())
        found.note_report(config.ref, config.version, config.revision + 1)
        found.set_handled(config.ref, as_handled(found, config))
    for ref, stack in (stacks or {}).items():
        found.note_stack(ref, stack)
    for ref, report in (reported or {}).items():
        found.note_report(ref, report.version, report.revision)
    for one in jobs:
        found.graph.add(one)
    for ref, record in (handled or {}).items():
        found.set_handled(ref, record)
    for ref, hold in (held or {}).items():
        found.set_held(ref, hold)
    for ref, failure in (failed or {}).items():
        found.set_failed(ref, failure)
    found.touch(*dirty)
    found.try_again(*again)
    return found


def as_handled(known: World, config: Wanted) -> Handled:
    """What is remembered of a config that became a job."""
    from orchestrator.core.mapping import evaluate

    kind = known.schemas.get(config.ref.type)
    chosen = known.templates.get(config.ref.type)
    references: dict[str, tuple[Ref, ...]] = {}
    if kind and isinstance(chosen, Template):
        found = {
            name: evaluate(mapping, known.scope(config, kind)).references
            for name, mapping in chosen.mappings
        }
        references = {name: refs for name, refs in found.items() if refs}
    job = job_id(Action.CREATE, config.ref, config.version, "zzzzz")
    return Handled(
        version=config.version,
        incarnation=config.incarnation,
        job=job,
        template=config.ref.type,
        tenant=TENANT,
        references=references,
        body=config.body,
        revision=config.revision,
        digest=config.digest(),
        sent=job,
    )


def loads(value: Any) -> Json:
    """JSON of a store's value."""
    return json.loads(value)


__all__ = [
    name for name in dir() if not name.startswith("_") and name not in ("annotations", "parse")
]
