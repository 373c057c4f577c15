"""Is every record right?
Held against the contract, and against what Heat itself answers over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestrator.clients.store import Store
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys
from orchestrator.core.refs import Ref
from orchestrator.sandbox import servers

from .documents import DemoDocument
from .following import Follower

Wanted = Mapping[Ref, tuple[int, DemoDocument]]
"""What was applied, by resource: its version and its document."""


class HeatApi:
    """Heat as anybody sees it who knows no more than its address."""

    def __init__(self, heat: servers.HeatServer) -> None:
        self._endpoint = heat.endpoint
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({})
        )

    def get(self, tenant: str, path: str) -> Any:
        """The answer's document, None for 404. Redirects are followed."""
        request = urllib.request.Request(
            self._endpoint % {"tenant_id": tenant} + path,
            headers={"Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def stack(self, tenant: str, name: str) -> dict[str, Any] | None:
        """The stack with its outputs."""
        document = self.get(tenant, f"/stacks/{name}")
        if document is None:
            return None
        found: dict[str, Any] = document["stack"]
        return found

    def stacks(self, tenant: str) -> list[dict[str, Any]]:
        """Every stack of a tenant."""
        listed: list[dict[str, Any]] = self.get(tenant, "/stacks")["stacks"]
        return listed

    def properties(
        self, tenant: str, stack: str, resource: str
    ) -> dict[str, Any]:
        """What the cloud knows of one resource of a stack."""
        found = self.get(
            tenant, f"/stacks/{stack}/resources/{resource}"
        ) or self._by_id(tenant, stack, resource)
        attributes: dict[str, Any] = found["resource"]["attributes"]
        return attributes

    def _by_id(self, tenant: str, stack: str, resource: str) -> Any:
        found = self.stack(tenant, stack) or {"id": "missing"}
        return self.get(
            tenant, f"/stacks/{stack}/{found['id']}/resources/{resource}"
        )


def links(outputs: list[dict[str, Any]]) -> list[str]:
    """The monitoring targets among a stack's outputs."""
    return [
        output["output_value"]
        for output in outputs
        if output["output_key"].endswith("monitoring_link")
        and output["output_value"]
    ]


def monitored(follower: Follower, ref: Ref, version: int) -> bool:
    """Whether the monitoring record of this version is there, if there is anything to monitor."""
    stack, state = follower.stack(ref), follower.state(ref)
    if stack is None or state is None or state.error or not stack.monitored:
        return True
    return follower.monitored(ref) == version


def problems(
    store: Store, keys: Keys, heat: servers.HeatServer, wanted: Wanted
) -> list[str]:
    """Everything that is not as it should be, one sentence each; the newest version of each
    resource is looked at."""
    api = HeatApi(heat)
    found = [
        problem
        for ref, (version, document) in wanted.items()
        for problem in _resource(
            _Expected(store, keys, ref, version, document), api
        )
    ]
    return [
        *found,
        *_left_over(store, keys, wanted),
        *_stacks(keys, api, wanted),
    ]


def builds(keys: Keys, ref: Ref) -> bool:
    """Whether a resource becomes a stack, as far as its type says."""
    kind = keys.schemas.get(ref.type)
    return kind is not None and kind.template is not None


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the records of one applied document should say."""

    store: Store
    keys: Keys
    ref: Ref
    version: int
    document: DemoDocument

    def read(self, folder: str) -> Any:
        """The record as it is, None when there is none."""
        kv = self.store.get(self.keys.below(folder, self.ref))
        if kv is None:
            return None
        return json.loads(kv.value)

    def compare(self, what: str, found: Any, expected: Any) -> Iterator[str]:
        yield from _compare(f"{self.ref} {what}", found, expected)

    def config(self) -> Iterator[str]:
        expected = {
            "body": json.dumps(self.document.body),
            "version": self.version,
            "marked_for_deletion": False,
        }
        yield from self.compare("config", self.read(self.keys.config), expected)

    def nothing_built(self) -> Iterator[str]:
        """A resource that becomes no stack."""
        keys = self.keys
        state = {
            "state": {"worker_state": "READ_COMPLETE"},
            "version": self.version,
            "error": "",
        }
        yield from self.compare("state", self.read(keys.state), state)
        for name, folder in (
            ("stack record", keys.stacks),
            ("monitoring record", keys.monitoring),
        ):
            yield from self.compare(name, self.read(folder), None)

    def built(self, stack: dict[str, Any]) -> Iterator[str]:
        """A resource that becomes a stack.

        :param stack: as Heat shows it.
        """
        verb, status = "MODIFY", "UPDATE_COMPLETE"
        if self.version == 1:
            verb, status = "CREATE", "CREATE_COMPLETE"
        outputs = stack["outputs"]
        yield from self.in_heat(stack, status)
        yield from self.stack_record(stack, status)
        yield from self.state(verb, status, outputs)
        yield from self.monitoring(outputs)

    def in_heat(self, stack: dict[str, Any], status: str) -> Iterator[str]:
        found = stack["stack_status"]
        yield from self.compare("in Heat: stack_status", found, status)
        for output in stack["outputs"]:
            if output.get("output_error"):
                yield (
                    f"{self.ref} in Heat: output {output['output_key']} has no value:"
                    f" {output['output_error']}"
                )

    def stack_record(self, stack: dict[str, Any], status: str) -> Iterator[str]:
        expected = {
            "stack_id": self.ref.stack_name,
            "tenant_id": self.document.body["tenant_id"],
            "stack_status": status,
            "output": _sorted(stack["outputs"]),
            "status_reason": stack["stack_status_reason"],
            "id": str(self.ref),
        }
        found = _with(self.read(self.keys.stacks), "output", _sorted)
        yield from self.compare("stack record", found, expected)

    def state(
        self, verb: str, status: str, outputs: list[dict[str, Any]]
    ) -> Iterator[str]:
        expected = {
            "state": {
                "worker_state": f"{verb}_COMPLETED",
                "heat_outputs": _sorted(outputs),
                "orchestration_state": status,
            },
            "version": self.version,
            "error": "",
        }
        found = self.read(self.keys.state)
        if isinstance(found, dict) and isinstance(found.get("state"), dict):
            found["state"] = _with(
                found["state"],
                "heat_outputs",
                lambda text: _sorted(json.loads(text)),
            )
        yield from self.compare("state", found, expected)

    def monitoring(self, outputs: list[dict[str, Any]]) -> Iterator[str]:
        targets = [parse_qs(urlsplit(link).query) for link in links(outputs)]
        expected: dict[str, Any] | None = None
        if targets:
            up = {query["key"][0]: "UP" for query in targets}
            expected = {"version": self.version, **up}
        found = self.read(self.keys.monitoring)
        yield from self.compare("monitoring record", found, expected)


def _resource(expected: _Expected, api: HeatApi) -> Iterator[str]:
    ref = expected.ref
    yield from expected.config()
    if not builds(expected.keys, ref):
        yield from expected.nothing_built()
        return
    tenant = expected.document.body["tenant_id"]
    stack = api.stack(tenant, ref.stack_name)
    if stack is None:
        yield f"{ref}: Heat knows no stack {ref.stack_name} in project {tenant}"
        return
    yield from expected.built(stack)


def passing(follower: Follower, keys: Keys, wanted: Wanted) -> Iterator[str]:
    """What is wrong with the records that are gone by the end: the job and its state, as the
    follower saw them."""
    for ref, (version, document) in wanted.items():
        if not builds(keys, ref):
            continue
        jobs = [
            json.loads(value)
            for key, value in follower.written(keys.jobs)
            if job_ref(keys.job_id(key)) == ref
        ]
        newest = [job for _, job, _ in jobs if job["version"] == version]
        if len(newest) != 1:
            yield f"{ref}: {len(newest)} jobs were made of version {version}"
        for job in newest:
            yield from _job(ref, version, document, job)
        yield from _job_state(follower, keys, ref)


def _job(
    ref: Ref, version: int, document: DemoDocument, job: dict[str, Any]
) -> Iterator[str]:
    action = "modify"
    if version == 1:
        action = "create"
    yield from _compare(f"{ref} job: action", job["action"], action)
    yield from _compare(
        f"{ref} job: resource_input", job["resource_input"], document.body
    )


def _job_state(follower: Follower, keys: Keys, ref: Ref) -> Iterator[str]:
    told = _written(follower, keys.below(keys.job_states, ref))
    stacks = _written(follower, keys.below(keys.stacks, ref))
    stack: dict[str, Any] = next(reversed(stacks), {})
    filled = {
        "heat_outputs": stack.get("output"),
        "orchestration_state": stack.get("stack_status"),
    }
    yield from _compare(f"{ref} job state", told[-2:], [{}, filled])


def _written(follower: Follower, key: str) -> list[Any]:
    """Every value that a key has had."""
    return [
        json.loads(value) for at, value in follower.written(key) if at == key
    ]


def _left_over(store: Store, keys: Keys, wanted: Wanted) -> Iterator[str]:
    """Records of what should be over by now, and of resources that nobody wants."""
    folders = (keys.jobs, keys.job_states, keys.runs, keys.held, keys.failed)
    for kv in (kv for folder in folders for kv in store.list(folder)[1]):
        yield f"{kv.key} is left over: {kv.value.decode()[:120]}"
    for folder in (keys.state, keys.stacks, keys.monitoring, keys.handled):
        for kv in store.list(folder, keys_only=True)[1]:
            if keys.ref(folder, kv.key) not in wanted:
                yield f"{kv.key}: nobody wants this resource"


def _stacks(keys: Keys, api: HeatApi, wanted: Wanted) -> Iterator[str]:
    """One stack in Heat for each resource that builds one, and no other."""
    named = {
        (str(document.body["tenant_id"]), str(ref.stack_name))
        for ref, (_, document) in wanted.items()
        if builds(keys, ref)
    }
    for tenant in sorted({tenant for tenant, _ in named}):
        there = sorted(stack["stack_name"] for stack in api.stacks(tenant))
        yield from _compare(
            f"Heat's stacks in project {tenant}",
            there,
            sorted(name for of, name in named if of == tenant),
        )


def _sorted(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Heat promises no order."""
    return sorted(outputs, key=lambda output: str(output["output_key"]))


def _with(record: Any, name: str, change: Any) -> Any:
    if isinstance(record, dict) and name in record:
        return {**record, name: change(record[name])}
    return record


def _compare(what: str, found: Any, expected: Any) -> Iterator[str]:
    """A sentence for what differs, the smallest part of it that does."""
    if found == expected:
        return
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in dict.fromkeys([*expected, *found]):
            if name not in found:
                yield f"{what}: {name} is missing"
            elif name not in expected:
                yield f"{what}: {name} should not be there, it is {found[name]!r}"
            else:
                yield from _compare(
                    f"{what}: {name}", found[name], expected[name]
                )
    else:
        yield f"{what} is {found!r}, should be {expected!r}"
