"""Every etcd key there is, in one place (CONTRACT sections 1, 2, 5, 7, 8).

Keys of other programs are the contract's. Keys of our own lie below
``<worker prefix>/orchestrator/``; docs/design.md says who writes each.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from .refs import JobId, Ref, RunId
from .schemas import HEAT_TEMPLATES_PATH, Schemas

NO_TENANT = "%"
"""Stands for a missing tenant in keys, where no quoted tenant can be mistaken for it: the project of the
credentials is used."""


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The five key prefixes of the contract, without a slash at the end."""

    config: str = "/config"
    state: str = "/state"
    monitoring: str = "/monitoring"
    jobs: str = "/jobs"
    worker: str = "/esi-worker"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys to values and back, for one set of prefixes and types."""

    prefixes: Prefixes
    schemas: Schemas

    # Folders: what to list and to watch ------------------------------------------------------------

    @property
    def config(self) -> str:
        return self.prefixes.config + "/"

    @property
    def state(self) -> str:
        return self.prefixes.state + "/"

    @property
    def monitoring(self) -> str:
        return self.prefixes.monitoring + "/"

    @property
    def jobs(self) -> str:
        return self.prefixes.jobs + "/all/"

    @property
    def stacks(self) -> str:
        return self.prefixes.worker + "/heat_stacks/"

    @property
    def job_states(self) -> str:
        return self.prefixes.worker + "/job_state/"

    @property
    def own(self) -> str:
        return self.prefixes.worker + "/orchestrator/"

    @property
    def handled(self) -> str:
        return self.own + "handled/"

    @property
    def held(self) -> str:
        return self.own + "held/"

    @property
    def failed(self) -> str:
        return self.own + "failed/"

    @property
    def retries(self) -> str:
        return self.own + "retry/"

    @property
    def runs(self) -> str:
        return self.own + "runs/"

    @property
    def leader(self) -> str:
        return self.own + "leader"

    # One resource -----------------------------------------------------------------------------------

    def below(self, folder: str, ref: Ref) -> str:
        """The key of *ref* in one of the folders above.

        :raises KeyError: the type is not in the schema list.
        """
        kind = self.schemas.get(ref.type)
        if kind is None:
            raise KeyError(ref.type)
        return f"{folder}{kind.path}/{ref.id}"

    def ref(self, folder: str, key: str) -> Ref | None:
        """The resource whose key in *folder* this is, or None when the type is unknown."""
        path, slash, resource_id = key.removeprefix(folder).rpartition("/")
        kind = self.schemas.at(path) if slash and resource_id and key.startswith(folder) else None
        return Ref(kind.id, resource_id) if kind else None

    def template(self, template_id: str) -> str:
        return f"{self.config}{HEAT_TEMPLATES_PATH}/{template_id}"

    def template_id(self, key: str) -> str | None:
        """The id of the template that lies at *key*, or None when no template does."""
        folder = f"{self.config}{HEAT_TEMPLATES_PATH}/"
        return key.removeprefix(folder) if key.startswith(folder) and key != folder else None

    # One job ----------------------------------------------------------------------------------------

    def job(self, job: JobId) -> str:
        return self.jobs + job

    def job_id(self, key: str) -> JobId:
        return JobId(key.removeprefix(self.jobs))

    def tenant_runs(self, tenant: str) -> str:
        """The folder of the runs of one tenant, so that a look reads no other's."""
        return f"{self.runs}{_tenant_folder(tenant)}/"

    def run(self, tenant: str, job: JobId) -> str:
        return self.runs + run_id(tenant, job)

    def run_id(self, key: str) -> RunId:
        return RunId(key.removeprefix(self.runs))

    def run_job(self, key: str) -> JobId:
        return job_of(self.run_id(key))

    def run_tenant(self, key: str) -> str:
        folder = key.removeprefix(self.runs).partition("/")[0]
        return "" if folder == NO_TENANT else unquote(folder)


def run_id(tenant: str, job: JobId) -> RunId:
    """What messages carry."""
    return RunId(f"{_tenant_folder(tenant)}/{job}")


def job_of(run: RunId) -> JobId:
    return JobId(run.partition("/")[2])


def _tenant_folder(tenant: str) -> str:
    return quote(tenant, safe="") or NO_TENANT
