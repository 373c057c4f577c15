"""Fill etcd with resources that are long built, exactly as the system itself leaves them, and fast.

What each record says comes from the code's own decisions: a config is decided, and the transactions
of the job that follows are played into a dictionary. Only the writing goes past the code, in large
batches by the raw stubs: through the system, 100,000 would take most of an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from orchestrator.core import effects
from orchestrator.core.facts import ConfigWritten
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.planning import Start, decide
from orchestrator.core.refs import Json, Ref
from orchestrator.core.resources import Wanted, parse_config
from orchestrator.core.schemas import parse_schemas
from orchestrator.core.templates import parse_template
from orchestrator.core.transactions import Transaction
from orchestrator.core.world import Stack, World

from .ground import SCHEMAS, TEMPLATE, document

TENANTS = 20
_OPERATIONS = 120
"""In one transaction; etcd takes 128."""
_CHUNK = 6_000
"""Resources whose records are in memory at a time."""


def keys() -> Keys:
    return Keys(Prefixes(), parse_schemas(SCHEMAS))


def name(number: int) -> str:
    return f"built-{number:06}"


def config(number: int, version: int = 1) -> str:
    """A node of about 500 bytes; every third has a parent, of the same tenant."""
    parent = {"parent_id": name(number - TENANTS)} if number % 3 == 0 and number >= TENANTS else {}
    body = {
        "id": name(number),
        "tenant_id": f"t{number % TENANTS:02}-5f3a-4b1c-9d62-0c7be4a2f1d8",
        **parent,
        "name": f"node {number} of the north plant",
        "value": f"v{version}",
        "description": "Serves the second hall; written by the API server, as every other, with a text for people",
        "admin_state_up": True,
        "status": "ACTIVE",
        "fixed_ips": [
            {
                "subnet_id": f"subnet-{number % 997}",
                "ip_address": f"10.{number % 250}.{number // 250 % 250}.7",
            }
        ],
        "security_groups": ["default", "web", "metrics"],
        "tags": {"owner": "plant-3", "stage": "production"},
        "mtu": 1500,
    }
    return document(body, version)


def fill(etcd: str, count: int, link: Callable[[str], str] | None = None) -> int:
    """Write *count* built resources.

    :param link: the monitoring link of a resource's stack, by the resource's id.
    :returns: bytes of values written.
    """
    names = keys()
    world = World(
        names.schemas, templates={"node": parse_template("node", {**TEMPLATE, "id": "node"})}
    )
    written = 0
    with grpc.insecure_channel(etcd) as channel, ThreadPoolExecutor(4) as pool:
        kv = stubs.KVStub(channel)

        def put(batch: Sequence[tuple[str, str]]) -> int:
            operations = [
                rpc.RequestOp(request_put=rpc.PutRequest(key=k.encode(), value=v.encode()))
                for k, v in batch
            ]
            return int(kv.Txn(rpc.TxnRequest(success=operations)).header.revision)

        for start in range(0, count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, count))
            configs = [
                (names.below(names.config, Ref("node", name(n))), config(n)) for n in numbers
            ]
            batches = list(_batched(configs))
            for batch, revision in zip(batches, pool.map(put, batches), strict=True):
                for key, value in batch:
                    wanted = parse_config(
                        names, key, value.encode(), incarnation=revision, revision=revision
                    )
                    assert isinstance(wanted, Wanted) and not wanted.fault
                    world.apply(ConfigWritten(wanted))
                    world.decided(wanted.ref)  # In what order does not matter here.
            records = [
                record
                for n in numbers
                for record in _built(world, names, Ref("node", name(n)), link)
            ]
            list(pool.map(put, _batched(records)))
            written += sum(len(value) for _, value in (*configs, *records))
    return written


def _batched(records: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    return (records[i : i + _OPERATIONS] for i in range(0, len(records), _OPERATIONS))


def _built(
    world: World, names: Keys, ref: Ref, link: Callable[[str], str] | None
) -> Iterable[tuple[str, str]]:
    """What is left in etcd of a resource's way from its decision to the end of its job."""
    decision = decide(world, ref, lambda: "bench")
    assert isinstance(decision, Start), decision
    outputs: list[Json] = [
        {"output_key": "id", "description": "id", "output_value": f"cloud-{ref.id}"}
    ]
    if link:
        outputs.append(
            {"output_key": "monitoring_link", "description": "", "output_value": link(ref.id)}
        )
    job, basis = decision.job, effects.Basis(1, 1, decision.handled.incarnation)
    ended = effects.JobOutcome("CREATE_COMPLETE", outputs, "Stack CREATE completed successfully")
    left: dict[str, str] = {}
    done = (
        effects.start(names, decision),
        effects.end_stack(names, job, basis, ended),
        effects.end_job(names, job, basis, ended, config=True),
        Transaction(
            deletes=(names.run(job.tenant, job.id),)
        ),  # by the bridge, when it has seen the end
    )
    for transaction in done:
        left |= transaction.puts
        for key in transaction.deletes:
            left.pop(key, None)
    world.set_handled(ref, decision.handled)
    world.note_stack(ref, Stack(ended.status, job.tenant, bool(link)))
    return left.items()


def key(number: int) -> str:
    """Where a built resource's config lies."""
    return f"/config/v1/nodes/{name(number)}"
