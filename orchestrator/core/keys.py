"""Every etcd key there is, in one place (CONTRACT sections 1, 2, 5, 7, 8).

Keys of other programs are the contract's. Keys of our own lie below
``<worker prefix>/orchestrator/``; docs/design.md says who writes each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import InvalidInput
from .paths import Prefixes as Prefixes
from .paths import UnknownPlace as UnknownPlace
from .process_keys import ProcessKeys
from .refs import JobId, Json, Ref, RunId
from .schemas import HEAT_TEMPLATES_PATH, ResourceType, Schemas
from .sweep_keys import SweepKeys, tenant_folder, tenant_of
from .template_keys import TemplateKeys

_NO_RESOURCE = "-"


@dataclass(frozen=True)
class Keys(SweepKeys, ProcessKeys, TemplateKeys):
    """Keys to values and back, for one set of prefixes and types.
    Without slots, for each folder is made once: every key that is read is compared with them.

    Where a type's keys are made of more than the id (``sync_key_template``), *places* remembers the
    path of each resource, as configs, records and bodies tell it.

    :raises InvalidInput: configs of a type would lie where other records do.
    """

    prefixes: Prefixes
    schemas: Schemas
    places: dict[Ref, str] = field(
        default_factory=dict, compare=False, repr=False
    )
    _outside: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        outside = [kind for kind in self.schemas if kind.outside_config]
        for kind in outside:
            self._check_outside(kind)
        folders = {f"/{kind.pattern.folder}/" for kind in outside}
        apart = (
            folder
            for folder in folders
            if not any(
                folder != other and folder.startswith(other)
                for other in folders
            )
        )
        object.__setattr__(
            self,
            "_outside",
            tuple(
                sorted(
                    folder
                    for folder in apart
                    if not folder.startswith(self.config)
                )
            ),
        )

    def _check_outside(self, kind: ResourceType) -> None:
        folder = f"/{kind.pattern.folder}/"
        for prefix in self.prefixes.taken():
            if folder.startswith(prefix + "/") or f"{prefix}/".startswith(
                folder
            ):
                raise InvalidInput(
                    f"the configs of type {kind.id} would lie below {folder}, where"
                    f" {prefix} is, which is not theirs"
                )

    # Folders: what to list and to watch -----------------------------------------------------------

    @cached_property
    def config(self) -> str:
        return self.prefixes.config + "/"

    @cached_property
    def config_folders(self) -> tuple[str, ...]:
        """Everywhere where configs lie: below the config prefix, and where key templates leave that
        out."""
        return (self.config, *self._outside)

    def is_config(self, key: str) -> bool:
        """Whether a key lies where configs do."""
        return key.startswith((self.config, *self._outside))

    @cached_property
    def state(self) -> str:
        return self.prefixes.state + "/"

    @cached_property
    def monitoring(self) -> str:
        return self.prefixes.monitoring + "/"

    @cached_property
    def jobs(self) -> str:
        return self.prefixes.jobs + "/all/"

    @cached_property
    def stacks(self) -> str:
        return self.prefixes.worker + "/heat_stacks/"

    @cached_property
    def job_states(self) -> str:
        return self.prefixes.worker + "/job_state/"

    @cached_property
    def own(self) -> str:
        return self.prefixes.worker + "/orchestrator/"

    @cached_property
    def handled(self) -> str:
        return self.own + "handled/"

    @cached_property
    def held(self) -> str:
        return self.own + "held/"

    @cached_property
    def failed(self) -> str:
        return self.own + "failed/"

    @cached_property
    def built(self) -> str:
        return self.own + "built/"

    @cached_property
    def retries(self) -> str:
        return self.own + "retry/"

    @cached_property
    def audits(self) -> str:
        return self.own + "audit/"

    @cached_property
    def left(self) -> str:
        return self.own + "left/"

    @cached_property
    def pauses(self) -> str:
        return self.own + "pause"

    @cached_property
    def runs(self) -> str:
        return self.own + "runs/"

    @cached_property
    def logins(self) -> str:
        return self.own + "logins/"

    @cached_property
    def polls(self) -> str:
        return self.own + "polls/"

    @cached_property
    def leader(self) -> str:
        return self.own + "leader"

    @cached_property
    def schema_list(self) -> str:
        """Which schema list is in force. Its revision is the list's."""
        return self.own + "schemas"

    @cached_property
    def schema_data(self) -> str:
        """The types of that list."""
        return self.own + "schemas/data"

    @cached_property
    def schema_trouble(self) -> str:
        """Why a newer list is not in force."""
        return self.own + "schemas/trouble"

    @cached_property
    def schema_reload(self) -> str:
        """An operator asks for the list to be read now."""
        return self.own + "schemas/reload"

    @cached_property
    def durations(self) -> str:
        """How long jobs have taken lately."""
        return self.own + "durations"

    @cached_property
    def brake(self) -> str:
        """Deletions are held."""
        return self.own + "brake"

    @cached_property
    def identity(self) -> str:
        """For what the bridge leads."""
        return self.own + "identity"

    @cached_property
    def identity_trouble(self) -> str:
        """Why the bridge decides nothing: it is another one."""
        return self.own + "identity/trouble"

    @cached_property
    def identity_confirmed(self) -> str:
        """An operator wants that other one."""
        return self.own + "identity/confirmed"

    # One resource ---------------------------------------------------------------------------------

    def below(self, folder: str, ref: Ref) -> str:
        """The key of *ref* in one of the folders above.

        :raises KeyError: the type is not in the schema list.
        :raises UnknownPlace: nothing has told its place yet (:meth:`place`).
        """
        kind = self.schemas.get(ref.type)
        if kind is None:
            raise KeyError(ref.type)
        if kind.key_template is None or folder.startswith(self.own):
            return f"{folder}{kind.path}/{ref.id}"
        root = folder
        if kind.outside_config and folder == self.config:
            root = "/"
        return root + self._place(kind, ref)

    def _place(self, kind: ResourceType, ref: Ref) -> str:
        """The path of a resource whose type has a key template."""
        if kind.pattern.needs_body:
            place = self.places.get(ref)
        else:
            place = kind.pattern.fill({"id": ref.id})
        if place is None:
            raise UnknownPlace(ref)
        return place

    def is_placed(self, ref: Ref) -> bool:
        """Whether the keys of *ref* are known."""
        kind = self.schemas.get(ref.type)
        return (
            kind is None
            or kind.key_template is None
            or not kind.pattern.needs_body
            or ref in self.places
        )

    def place(self, ref: Ref, body: Mapping[str, Json]) -> None:
        """Remember where a resource lies, from the properties that its type's key template
        names."""
        kind = self.schemas.get(ref.type)
        if kind is None or kind.key_template is None or ref in self.places:
            return
        if (path := kind.pattern.fill({**body, "id": ref.id})) is not None:
            self.places[ref] = path

    def ref(self, folder: str, key: str) -> Ref | None:
        """The resource whose key in *folder* this is, or None when it is nobody's: of an unknown
        type, or no text.

        A key of a type with a key template also tells the place of its resource, if that is not
        known yet.
        """
        owner = self._owner(folder, key)
        if owner is None or not is_text(key):
            return None
        kind, resource_id = owner
        ref = Ref(kind.id, resource_id)
        if kind.key_template and not folder.startswith(self.own):
            self.places.setdefault(ref, self._path(folder, key) or "")
        return ref

    def _owner(self, folder: str, key: str) -> tuple[ResourceType, str] | None:
        path = self._path(folder, key)
        if path is None:
            return None
        if folder.startswith(self.own):
            # Our own records lie at the type's path, whatever the API server makes its keys of.
            kind_path, _, resource_id = path.rpartition("/")
            kind = self.schemas.by_folder(kind_path)
            if kind and resource_id:
                return (kind, resource_id)
            return None
        owner = self.schemas.owner(path)
        if (
            owner
            and folder == self.config
            and owner[0].outside_config == key.startswith(folder)
        ):
            return None
        return owner

    def _path(self, folder: str, key: str) -> str | None:
        if key.startswith(folder):
            return key[len(folder) :]
        if folder == self.config and self.is_config(key):
            return key[1:]
        return None

    def template(self, template_id: str) -> str:
        return f"{self.config}{HEAT_TEMPLATES_PATH}/{template_id}"

    def template_id(self, key: str) -> str | None:
        """The id of the template that lies at *key*, or None when no template does."""
        folder = f"{self.config}{HEAT_TEMPLATES_PATH}/"
        if key.startswith(folder) and key != folder:
            return key.removeprefix(folder)
        return None

    # One verb -------------------------------------------------------------------------------------

    def audit(self, ref: Ref | None, verb: str) -> str:
        """The key of a verb's record, by its id. *ref* is what it is about; None: no single one."""
        if ref is None:
            return f"{self.audits}{_NO_RESOURCE}/{verb}"
        kind = self.schemas.get(ref.type)
        path = kind.path if kind else HEAT_TEMPLATES_PATH
        return f"{self.audits}{path}/{ref.id}/{verb}"

    # One job --------------------------------------------------------------------------------------

    def job(self, job: JobId) -> str:
        return self.jobs + job

    def job_id(self, key: str) -> JobId:
        return JobId(key.removeprefix(self.jobs))

    def tenant_runs(self, tenant: str) -> str:
        """The folder of the runs of one tenant, so that a poll reads no other's."""
        return f"{self.runs}{tenant_folder(tenant)}/"

    def run(self, tenant: str, job: JobId) -> str:
        return self.runs + run_id(tenant, job)

    def run_id(self, key: str) -> RunId:
        return RunId(key.removeprefix(self.runs))

    def run_job(self, key: str) -> JobId:
        return job_of(self.run_id(key))

    def run_tenant(self, key: str) -> str:
        return run_tenant_of(self.run_id(key))

    # One tenant -----------------------------------------------------------------------------------

    def poll(self, tenant: str) -> str:
        """Where it stands that a poll of the tenant's stacks goes on for longer."""
        return self.polls + tenant_folder(tenant)

    def poll_tenant(self, key: str) -> str:
        return tenant_of(key.removeprefix(self.polls))


def run_id(tenant: str, job: JobId) -> RunId:
    """What messages carry."""
    return RunId(f"{tenant_folder(tenant)}/{job}")


def job_of(run: RunId) -> JobId:
    return JobId(run.partition("/")[2])


def run_tenant_of(run: RunId) -> str:
    return tenant_of(run.partition("/")[0])


def is_text(key: str) -> bool:
    """Whether a key is UTF-8: the bytes of one that is not are kept as lone surrogates (PEP
    383)."""
    return key.isascii() or not any(
        "\ud800" <= letter <= "\udfff" for letter in key
    )
