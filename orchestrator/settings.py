"""All settings, read from the environment (or a ``.env`` file) in one place (CONTRACT section 1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .clients.etcd import EtcdAccess
from .clients.schema_list import AUTHENTICATIONS, KEYSTONE, SchemaAccess, source_fault
from .core.addresses import Rules
from .core.keys import Prefixes
from .errors import InvalidInput, SettingsError


class Settings(BaseSettings):
    """Every variable is ``ORCHESTRATOR_`` and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ORCHESTRATOR_", env_file=".env", extra="ignore", frozen=True)

    etcd_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1:2379",), description="etcd v3: host:port, several separated by commas."
    )
    etcd_user: str = Field("", description="User for etcd's authentication; empty: none.")
    etcd_password: str = Field("", description="Password of that user.", repr=False)
    etcd_ca: str = Field("", description="File with the CA certificate of etcd's server; empty: no TLS.")
    etcd_cert: str = Field("", description="File with our client certificate, when etcd asks for one.")
    etcd_key: str = Field("", description="File with the key of that certificate.")
    broker_url: str = Field("redis://127.0.0.1:6379/0", description="Celery's broker: a kombu URL.")
    schemas: str = Field(
        "", description="Resource types: a file, or the URL of the API server's schema list; empty: the project's own catalogue."
    )
    schemas_interval: float = Field(
        60.0, gt=0, description="Seconds after which the leading bridge reads the schema list again, in case it has changed."
    )
    schemas_auth: str = Field(
        "token", description="How the bridge gets a token for the API server: token (the one given, if any) or keystone."
    )
    schemas_token: str = Field("", description="Token for the API server's schema list, sent as X-Auth-Token.", repr=False)
    schemas_token_file: str = Field(
        "", description="File with that token; read again for every request, so that it may be renewed."
    )
    schemas_os_cloud: str = Field(
        "", description="With keystone: cloud of clouds.yaml whose user reads the list; empty: the bridge's OS_* variables."
    )
    schemas_ca: str = Field("", description="File with the CA certificate of the API server; empty: the usual CAs.")
    templates: str = Field("", description="Folder of the template catalogue; empty: the project's own.")
    heat_poll_interval: float = Field(1.0, gt=0, description="Seconds between looks at the stacks in progress of one tenant.")
    heat_timeout: float = Field(60.0, gt=0, description="Seconds for which Heat or Keystone may send nothing.")
    heat_deadline: float = Field(
        120.0,
        gt=0,
        description="Seconds for one answer of Heat to its last byte, tokens included; never less than ORCHESTRATOR_HEAT_TIMEOUT.",
    )
    tenant_credentials: str = Field(
        "",
        description="Folder with credentials of single tenants, <tenant id>.yaml each; empty: the OS_* variables serve all.",
    )
    monitoring_interval: float = Field(60.0, gt=0, description="Seconds between looks at the monitoring targets.")
    monitoring_timeout: float = Field(
        5.0, gt=0, description="Seconds for one monitoring target, from looking up its name to the last byte of its answer."
    )
    monitoring_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Monitoring targets that may be asked: networks, addresses and hosts, separated by commas "
        "(192.0.2.0/24,collector.example,*.example.org). Empty: all but link-local addresses, metadata services, "
        "unspecified, multicast and reserved ones; loopback and private networks are allowed.",
    )
    monitoring_deny: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Monitoring targets that must not be asked, in the same form; goes before ORCHESTRATOR_MONITORING_ALLOW."
    )
    config_prefix: str = Field("/config", description="Key prefix of the wanted configuration.")
    state_prefix: str = Field("/state", description="Key prefix of the reported states; /state_watch/state for upstream Gohan.")
    monitoring_prefix: str = Field("/monitoring", description="Key prefix of the monitoring records.")
    jobs_prefix: str = Field("/jobs", description="Key prefix of the jobs; records lie below <prefix>/all/.")
    worker_prefix: str = Field("/esi-worker", description="Key prefix of stack records, job states and our own records.")
    state_as_string: bool = Field(
        False, description="Write the state and monitoring values as JSON strings, as upstream Gohan's watcher needs."
    )
    stack_timeout: float = Field(
        3600.0,
        gt=0,
        description="Seconds that a stack operation may take when its template names no heat_timeout; Heat's own default.",
    )
    timeout_margin: float = Field(
        300.0, ge=0, description="Seconds past its timeout after which an operation that Heat never ends is reported as failed."
    )
    project_patience: float = Field(
        3600.0,
        gt=0,
        description="Seconds for which Keystone may refuse a project before the version is reported as failed.",
    )
    tenant_requests: int = Field(32, ge=1, description="Jobs of one tenant that workers put to Heat at the same time.")
    total_requests: int = Field(256, ge=1, description="The same for all tenants together.")
    health_port: int = Field(0, ge=0, lt=65536, description="Port of the bridge's /health and /metrics; 0: none.")
    health_address: str = Field("127.0.0.1", description="Address on which the bridge answers /health and /metrics.")
    lease_ttl: int = Field(10, ge=2, description="Seconds after which a silent leader or worker counts as dead.")
    deletion_patience: float = Field(
        5.0, ge=0, description="Seconds that a deletion waits for resources built from this one to be deleted too."
    )
    deletions_at_once: int = Field(
        20,
        ge=0,
        description="Configs of built resources that may be removed unmarked in ten minutes; of more, the deletions are held.",
    )
    deletions_share: float = Field(
        5.0, ge=0, le=100, description="The same in percent of what is built; the higher of the two numbers counts."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field("console", description="console: one line for people; json: one document a line.")

    @field_validator("etcd_endpoints", mode="before")
    @classmethod
    def _split(cls, value: str | Iterable[str]) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        endpoints = tuple(part.strip().removeprefix("http://").removeprefix("https://").rstrip("/") for part in parts)
        if not all(endpoint.rpartition(":")[2].isdigit() for endpoint in endpoints):
            raise ValueError("expected host:port[,host:port…]")
        return endpoints

    @field_validator("config_prefix", "state_prefix", "monitoring_prefix", "jobs_prefix", "worker_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if not prefix.startswith("/") or prefix == "/gohan" or prefix.startswith("/gohan/"):
            raise ValueError("expected a key prefix such as /config, and never below /gohan")
        return prefix

    @field_validator("schemas")
    @classmethod
    def _source(cls, value: str) -> str:
        if fault := source_fault(value):
            raise ValueError(fault)
        return value

    @field_validator("schemas_auth")
    @classmethod
    def _authentication(cls, value: str) -> str:
        if value not in AUTHENTICATIONS:
            raise ValueError(f"expected {' or '.join(AUTHENTICATIONS)}")
        return value

    @field_validator("schemas_token_file", "schemas_ca")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("monitoring_allow", "monitoring_deny", mode="before")
    @classmethod
    def _targets(cls, value: str | Iterable[str]) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        listed = tuple(part.strip() for part in parts if part.strip())
        try:
            Rules.parse(listed)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return listed

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("expected DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("log_format")
    @classmethod
    def _format(cls, value: str) -> str:
        if value not in ("console", "json"):
            raise ValueError("expected console or json")
        return value

    @property
    def chain_time(self) -> float:
        """Seconds for all that one chain of tasks asks of Heat: two answers that take their time."""
        return 2 * max(self.heat_deadline, self.heat_timeout)

    @property
    def task_limit(self) -> float:
        """Seconds after which a task is stopped: a list of stacks, a chain after it, and some more."""
        return 1.5 * self.chain_time + 30

    @property
    def etcd(self) -> EtcdAccess:
        return EtcdAccess(self.etcd_endpoints, self.etcd_user, self.etcd_password, self.etcd_ca, self.etcd_cert, self.etcd_key)

    @property
    def schema_access(self) -> SchemaAccess:
        return SchemaAccess(
            self.schemas,
            token=self.schemas_token,
            token_file=self.schemas_token_file,
            authentication=self.schemas_auth,
            cloud=self.schemas_os_cloud,
            ca=self.schemas_ca,
        )

    @property
    def monitoring_rules(self) -> Rules:
        return Rules.parse(self.monitoring_allow, self.monitoring_deny)

    @property
    def prefixes(self) -> Prefixes:
        return Prefixes(self.config_prefix, self.state_prefix, self.monitoring_prefix, self.jobs_prefix, self.worker_prefix)


_FILES = {"ca": "ORCHESTRATOR_ETCD_CA", "certificate": "ORCHESTRATOR_ETCD_CERT", "key": "ORCHESTRATOR_ETCD_KEY"}


def load() -> Settings:
    """The settings of this process.

    :raises SettingsError: naming every variable that cannot be used.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        faults = [f"ORCHESTRATOR_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors() if fault["loc"]]
        raise SettingsError("; ".join(faults) or "the environment cannot be read") from None
    file_faults = (f"{_FILES[name]}: {fault}" for name, fault in settings.etcd.file_faults())
    if faults := [*_schema_faults(settings), *file_faults]:
        raise SettingsError("; ".join(faults))
    return settings


def _schema_faults(settings: Settings) -> Iterator[str]:
    """What does not go together."""
    if settings.schemas_token and settings.schemas_token_file:
        yield "ORCHESTRATOR_SCHEMAS_TOKEN_FILE: ORCHESTRATOR_SCHEMAS_TOKEN is set too; give one of them"
    if settings.schemas_auth == KEYSTONE:
        if settings.schemas_token or settings.schemas_token_file:
            yield "ORCHESTRATOR_SCHEMAS_AUTH: with keystone, Keystone makes the token; give no ORCHESTRATOR_SCHEMAS_TOKEN(_FILE)"
    elif settings.schemas_os_cloud:
        yield "ORCHESTRATOR_SCHEMAS_OS_CLOUD: needs ORCHESTRATOR_SCHEMAS_AUTH=keystone"
