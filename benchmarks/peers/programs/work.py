"""One job, as somebody would write it on TaskFlow: submit a stack, wait for it, record what came.

It asks Heat and etcd for what a minimal version of our worker asks: the config record and its template, a
stack, its state until it is done, the stack's record and the state. Where two requests to etcd can be one
transaction, they are: nothing here is slower than it must be.
"""

from __future__ import annotations

import functools
import json
import os
import time
from typing import Any

import grpc
import jinja2
import requests
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from heatclient import client as heat_client
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
from requests.adapters import HTTPAdapter
from taskflow import task
from taskflow.jobs import backends as boards
from taskflow.jobs.base import JobBoard
from taskflow.patterns import linear_flow
from taskflow.persistence import backends as stores
from taskflow.persistence.base import Backend

NODES = "/config/v1/nodes/"
TEMPLATE = b"/config/v2.0/heat_templates/node"
BOARD = "nodes"

_LOOK_AGAIN = 1.0
"""Seconds between two polls of a stack that is in progress. The job keeps its slot meanwhile: tasks are functions."""

_CONNECTIONS = 256
"""In the pool to Heat: never fewer than there are slots."""


@functools.cache
def channel() -> grpc.Channel:
    return grpc.insecure_channel(os.environ["PEER_ETCD"])


@functools.cache
def _kv() -> Any:
    return stubs.KVStub(channel())


@functools.cache
def _pool() -> requests.Session:
    pool = requests.Session()
    pool.trust_env = (
        False  # everything is on loopback, and looking for proxies costs time in each request
    )
    pool.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS))
    return pool


@functools.cache
def _heat(tenant: str) -> Any:
    session = keystone_session.Session(auth=noauth.NoAuth(), session=_pool())
    return heat_client.Client(
        "1", session=session, endpoint_override=f"{os.environ['PEER_HEAT']}/v1/{tenant}"
    )


@functools.lru_cache(maxsize=64)
def _compiled(text: str) -> jinja2.Template:
    return jinja2.Environment(autoescape=False).from_string(text)  # a template for Heat is no HTML


def _mapped(mapping: str | dict[str, Any], body: dict[str, Any]) -> str:
    """A parameter's value: ``Pname`` is a property, ``Ctext`` a constant; none of these nodes has a parent."""
    if isinstance(mapping, dict):
        return ""
    return str(body.get(mapping[1:], "")) if mapping.startswith("P") else mapping[1:]


class Submit(task.Task):
    """Read what is wanted and have Heat make it."""

    default_provides = "submitted"

    def execute(self, name: str) -> dict[str, Any]:
        reads = [
            rpc.RequestOp(request_range=rpc.RangeRequest(key=key))
            for key in (f"{NODES}{name}".encode(), TEMPLATE)
        ]
        config, template = (
            reply.response_range.kvs[0].value
            for reply in _kv().Txn(rpc.TxnRequest(success=reads)).responses
        )
        document = json.loads(config)
        body, wanted = json.loads(document["body"]), json.loads(json.loads(template)["body"])
        values = {
            key: _mapped(mapping, body) for key, mapping in wanted["parameter_mappings"].items()
        }
        made = _heat(body["tenant_id"]).stacks.create(
            stack_name=f"node_{name}",
            template=_compiled(wanted["template_file"]).render(values),
            parameters={"value": values["value"], "parent": values["parent"]},
            tags=f"version={document['version']}",
            disable_rollback=True,
        )
        return {
            "tenant_id": body["tenant_id"],
            "stack_id": made["stack"]["id"],
            "version": document["version"],
        }


class PeerWait(task.Task):
    """Look at the stack until it is done."""

    default_provides = "stack"

    def execute(self, name: str, submitted: dict[str, Any]) -> dict[str, Any]:
        stacks = _heat(submitted["tenant_id"]).stacks
        while True:
            stack = stacks.get(f"node_{name}/{submitted['stack_id']}")
            if not stack.stack_status.endswith("_IN_PROGRESS"):
                break
            time.sleep(_LOOK_AGAIN)
        if not stack.stack_status.endswith("_COMPLETE"):
            raise RuntimeError(f"{name}: {stack.stack_status_reason}")
        return {
            "status": stack.stack_status,
            "reason": stack.stack_status_reason,
            "outputs": stack.outputs,
        }


class Record(task.Task):
    """Tell what came of it: the stack's record and the state."""

    def execute(self, name: str, submitted: dict[str, Any], stack: dict[str, Any]) -> None:
        record = {
            "stack_id": f"node_{name}",
            "tenant_id": submitted["tenant_id"],
            "stack_status": stack["status"],
            "status_reason": stack["reason"],
            "output": stack["outputs"],
            "id": f"node:{name}",
        }
        state = {
            "state": {
                "worker_state": "CREATE_COMPLETED",
                "heat_outputs": json.dumps(stack["outputs"]),
                "orchestration_state": stack["status"],
            },
            "version": submitted["version"],
            "error": "",
        }
        puts = [
            rpc.RequestOp(
                request_put=rpc.PutRequest(key=key.encode(), value=json.dumps(value).encode())
            )
            for key, value in (
                (f"/esi-worker/stack/v1/nodes/{name}", record),
                (f"/state/v1/nodes/{name}", state),
            )
        ]
        _kv().Txn(rpc.TxnRequest(success=puts))


def flow() -> linear_flow.Flow:
    """The job; a factory, because a flow that is kept in a database is made again from its factory's name."""
    return linear_flow.Flow("node").add(Submit(), PeerWait(), Record())


def board(persistence: Backend | None) -> JobBoard:
    host, port = os.environ["PEER_REDIS"].split(":")
    found = boards.fetch(
        BOARD,
        {
            "board": "redis",
            "host": host,
            "port": port,
            "db": 1,
            "namespace": os.environ["PEER_NAMESPACE"],
        },
        persistence=persistence,
    )
    found.connect()
    return found


def persistence() -> Backend | None:
    """Where the durable layout keeps its logbooks; the pool is of oslo.db's default size, as Octavia's."""
    if url := os.environ.get("PEER_PERSISTENCE"):
        return stores.fetch({"connection": url, "max_pool_size": 5, "max_overflow": 50})
    return None
