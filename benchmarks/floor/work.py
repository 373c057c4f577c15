"""The calls of one job: a reading and a write of etcd in one, a request and a poll of Heat, two writes to etcd.

As many as the orchestrator makes for a stack that Heat builds at once, through the same libraries, with
nothing compared and nobody to carry on when a process dies in between.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import grpc
import requests
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from heatclient import client as heatclient
from jinja2.sandbox import SandboxedEnvironment
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone

_TEMPLATES = SandboxedEnvironment()


class Doors:
    """Connections of one process."""

    def __init__(self) -> None:
        channel = grpc.insecure_channel(os.environ["ORCHESTRATOR_ETCD_ENDPOINTS"])
        self.kv = stubs.KVStub(channel)
        self.watch = stubs.WatchStub(channel)
        self._requests = requests.Session()
        self._tenants: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(
        self, puts: dict[str, str], *, delete: tuple[str, ...] = (), read: tuple[str, ...] = ()
    ) -> list[bytes | None]:
        """Write and delete, then read: the values, all in one call."""
        operations = [
            rpc.RequestOp(request_put=rpc.PutRequest(key=k.encode(), value=v.encode()))
            for k, v in puts.items()
        ]
        operations += [
            rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key.encode()))
            for key in delete
        ]
        operations += [
            rpc.RequestOp(request_range=rpc.RangeRequest(key=key.encode())) for key in read
        ]
        answers = self.kv.Txn(rpc.TxnRequest(success=operations)).responses
        found = [answer.response_range.kvs for answer in answers[len(puts) + len(delete) :]]
        return [kvs[0].value if kvs else None for kvs in found]

    def heat(self, tenant: str) -> Any:
        with self._lock:
            if tenant not in self._tenants:
                session = keystone.Session(auth=noauth.NoAuth(), session=self._requests, timeout=60)
                endpoint = os.environ["OS_ENDPOINT"].replace("%(tenant_id)s", tenant)
                self._tenants[tenant] = heatclient.Client(
                    "1", session=session, endpoint_override=endpoint
                )
            return self._tenants[tenant]


def submit(doors: Doors, name: str) -> tuple[str, str, str, int]:
    """Ask Heat for the stack: tenant, name, stack id, version."""
    wanted_keys = (
        f"/config/v1/nodes/{name}",
        "/config/v2.0/heat_templates/node",
        f"/state/v1/nodes/{name}",
    )
    config, template, _ = doors.call(
        {f"/esi-worker/job_state/v1/nodes/{name}": "{}"}, read=wanted_keys
    )
    assert config is not None and template is not None
    wanted, document = json.loads(config), json.loads(json.loads(template)["body"])
    body = json.loads(wanted["body"])
    text = _TEMPLATES.from_string(document["template_file"]).render(jinja_text="a text")
    parameters = {"value": body["value"]}
    made = doors.heat(body["tenant_id"]).stacks.create(
        stack_name=f"node_{name}",
        template=text,
        parameters=parameters,
        disable_rollback=True,
        tags="floor",
    )
    return body["tenant_id"], name, made["stack"]["id"], wanted["version"]


def wait(doors: Doors, tenant: str, name: str, stack: str) -> list[Any] | None:
    """The outputs of a stack that is done, None while Heat is at work."""
    shown = doors.heat(tenant).stacks.get(f"node_{name}/{stack}", resolve_outputs=True)
    return None if shown.stack_status.endswith("IN_PROGRESS") else shown.outputs


def record(doors: Doors, name: str, version: int, outputs: list[Any]) -> None:
    """The stack record and the job state, then the state."""
    stack = {"stack_id": f"node_{name}", "stack_status": "CREATE_COMPLETE", "output": outputs}
    job = {"heat_outputs": outputs, "orchestration_state": "CREATE_COMPLETE"}
    job_state = f"/esi-worker/job_state/v1/nodes/{name}"
    doors.call(
        {f"/esi-worker/heat_stacks/v1/nodes/{name}": json.dumps(stack), job_state: json.dumps(job)}
    )
    state = {"worker_state": "CREATE_COMPLETED", "heat_outputs": json.dumps(outputs)}
    doors.call(
        {f"/state/v1/nodes/{name}": json.dumps({"state": state, "version": version, "error": ""})},
        delete=(job_state,),
    )
