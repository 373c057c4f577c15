"""All settings, in one place (CONTRACT section 1): their names, forms and sentences.

:mod:`.environment` finds them, :mod:`.settings_checks` looks at what does not go together.
Every fault of all of them is told at once, and the process does not start.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from . import environment, settings_checks
from .clients import broker, certificates, database
from .clients.broker import BrokerAccess
from .clients.etcd import EtcdAccess
from .clients.schema_list import (
    AUTHENTICATIONS,
    KEYSTONE,
    SchemaAccess,
    source_fault,
)
from .core.addresses import Rules
from .core.keys import Prefixes
from .core.masking import is_secret
from .core.refs import Json
from .environment import PREFIX, Found
from .errors import InvalidInput, SettingsError


class Mark(Enum):
    """What a field's name does not say."""

    SECRET = "secret"
    """It may hold a password: it is masked, and may lie in a file of its own."""
    FILE = "file"
    """The path of a file that has to be there.
    That it holds a key is no reason to hide the path."""
    FOLDER = "folder"
    """The same of a folder."""
    DOCUMENT = "document"
    """A JSON document: blanks and newlines around it mean nothing."""


LONGEST = 7 * 24 * 3600.0
"""Seconds of the longest interval or timeout, a week.
(Waiting for more than 24 days overflows in C.)"""

Seconds = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
Pause = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Secret = Annotated[str, Mark.SECRET]
File = Annotated[str, Mark.FILE]
Folder = Annotated[str, Mark.FOLDER]


class Settings(BaseModel):
    """Every variable is ``ORCHESTRATOR_`` and the field's name in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    etcd_endpoints: tuple[str, ...] = Field(
        ("127.0.0.1:2379",),
        description="etcd v3: host:port, several separated by commas.",
    )
    etcd_user: str = Field(
        "", description="User for etcd's authentication; empty: none."
    )
    etcd_password: Secret = Field(
        "", description="Password of that user.", repr=False
    )
    etcd_ca: File = Field(
        "",
        description="File with the CA certificate of etcd's server; empty: no TLS.",
    )
    etcd_cert: File = Field(
        "",
        description="File with our client certificate, when etcd asks for one.",
    )
    etcd_key: File = Field(
        "", description="File with the key of that certificate."
    )
    broker_url: Secret = Field(
        "redis://127.0.0.1:6379/0",
        description=(
            "Celery's broker: redis://user:password@host:6379/0, rediss:// for TLS, "
            "sentinel://host1:26379;sentinel://host2:26379/0 or redis+socket:///path."
        ),
        repr=False,
    )
    broker_master_name: str = Field(
        "",
        description="Name that the Sentinels give the master; needed with sentinel://.",
    )
    broker_sentinel_user: str = Field(
        "", description="User for the Sentinels themselves; empty: none."
    )
    broker_sentinel_password: Secret = Field(
        "",
        description="Password for the Sentinels themselves; empty: none.",
        repr=False,
    )
    broker_tls: bool = Field(
        False,
        description=(
            "With sentinel://: TLS to the Sentinels and to Redis. (rediss:// is TLS"
            " anyway.)"
        ),
    )
    broker_tls_verify: bool = Field(
        True,
        description=(
            "Whether the certificates of Redis and of the Sentinels are verified."
        ),
    )
    broker_ca: File = Field(
        "",
        description=(
            "File with the CA certificate of Redis; empty: the CAs of the operating"
            " system."
        ),
    )
    broker_cert: File = Field(
        "",
        description="File with our client certificate, when Redis asks for one.",
    )
    broker_key: File = Field(
        "", description="File with the key of that certificate."
    )
    broker_transport_options: Annotated[
        dict[str, Json], Mark.SECRET, Mark.DOCUMENT
    ] = Field(
        {},
        description=(
            "More options of kombu's Redis transport, as JSON:"
            ' {"socket_timeout": 5}.'
        ),
        repr=False,
    )
    schemas: str = Field(
        "",
        description=(
            "Resource types: a file, or the URL of the API server's schema list; empty:"
            " the project's own catalogue."
        ),
    )
    schemas_interval: Seconds = Field(
        60.0,
        description=(
            "Seconds after which the leading bridge reads the schema list again, in"
            " case it has changed."
        ),
    )
    schemas_auth: str = Field(
        "token",
        description=(
            "How the bridge gets a token for the API server: token (the one given, if"
            " any) or keystone."
        ),
    )
    schemas_token: Secret = Field(
        "",
        description="Token for the API server's schema list, sent as X-Auth-Token.",
        repr=False,
    )
    schemas_token_file: File = Field(
        "",
        description=(
            "File with that token; read again for every request, so that it may be"
            " renewed."
        ),
    )
    schemas_os_cloud: str = Field(
        "",
        description=(
            "With keystone: cloud of clouds.yaml whose user reads the list; empty: the"
            " bridge's OS_* variables."
        ),
    )
    schemas_ca: File = Field(
        "",
        description=(
            "File with the CA certificate of the API server; empty: the usual CAs."
        ),
    )
    templates: Folder = Field(
        "",
        description="Folder of the template catalogue; empty: the project's own.",
    )
    heat_poll_interval: Seconds = Field(
        1.0,
        description="Seconds between looks at the stacks in progress of one tenant.",
    )
    heat_timeout: Seconds = Field(
        60.0, description="Seconds for which Heat or Keystone may send nothing."
    )
    heat_deadline: Seconds = Field(
        120.0,
        description=(
            "Seconds for one answer of Heat to its last byte, tokens included; never"
            " less than ORCHESTRATOR_HEAT_TIMEOUT."
        ),
    )
    tenant_credentials: Folder = Field(
        "",
        description=(
            "Folder with credentials of single tenants, <tenant id>.yaml each; empty:"
            " the OS_* variables serve all."
        ),
    )
    monitoring_interval: Seconds = Field(
        60.0, description="Seconds between looks at the monitoring targets."
    )
    monitoring_timeout: Seconds = Field(
        5.0,
        description=(
            "Seconds for one monitoring target, from looking up its name to the last"
            " byte of its answer."
        ),
    )
    monitoring_allow: tuple[str, ...] = Field(
        (),
        description=(
            "Monitoring targets that may be asked: networks, addresses and hosts,"
            " separated by commas (192.0.2.0/24,collector.example,*.example.org)."
            " Empty: all but link-local addresses, metadata services, unspecified,"
            " multicast and reserved ones; loopback and private networks are allowed."
        ),
    )
    monitoring_deny: tuple[str, ...] = Field(
        (),
        description=(
            "Monitoring targets that must not be asked, in the same form; goes before"
            " ORCHESTRATOR_MONITORING_ALLOW."
        ),
    )
    config_prefix: str = Field(
        "/config", description="Key prefix of the wanted configuration."
    )
    state_prefix: str = Field(
        "/state",
        description=(
            "Key prefix of the reported states; /state_watch/state for upstream Gohan."
        ),
    )
    monitoring_prefix: str = Field(
        "/monitoring", description="Key prefix of the monitoring records."
    )
    jobs_prefix: str = Field(
        "/jobs",
        description="Key prefix of the jobs; records lie below <prefix>/all/.",
    )
    worker_prefix: str = Field(
        "/esi-worker",
        description="Key prefix of stack records, job states and our own records.",
    )
    state_as_string: bool = Field(
        False,
        description=(
            "Write the state and monitoring values as JSON strings, as upstream Gohan's"
            " watcher needs."
        ),
    )
    stack_timeout: Seconds = Field(
        3600.0,
        description=(
            "Seconds that a stack operation may take when its template names no"
            " heat_timeout; Heat's own default."
        ),
    )
    timeout_margin: Pause = Field(
        300.0,
        description=(
            "Seconds past its timeout after which an operation that Heat never ends is"
            " reported as failed."
        ),
    )
    project_patience: Seconds = Field(
        3600.0,
        description=(
            "Seconds for which Keystone may refuse a project before the version is"
            " reported as failed."
        ),
    )
    tenant_requests: int = Field(
        32,
        ge=1,
        description="Jobs of one tenant that workers put to Heat at the same time.",
    )
    total_requests: int = Field(
        256, ge=1, description="The same for all tenants together."
    )
    health_port: int = Field(
        0,
        ge=0,
        lt=65536,
        description="Port of the bridge's /health and /metrics; 0: none.",
    )
    health_address: str = Field(
        "127.0.0.1",
        description="Address on which the bridge answers /health and /metrics.",
    )
    lease_ttl: int = Field(
        10,
        ge=2,
        le=3600,
        description="Seconds after which a silent leader or worker counts as dead.",
    )
    deletion_patience: Pause = Field(
        5.0,
        description=(
            "Seconds that a deletion waits for resources built from this one to be"
            " deleted too."
        ),
    )
    deletions_at_once: int = Field(
        20,
        ge=0,
        description=(
            "Configs of built resources that may be removed unmarked in ten minutes; of"
            " more, the deletions are held."
        ),
    )
    deletions_share: float = Field(
        5.0,
        ge=0,
        le=100,
        description=(
            "The same in percent of what is built; the higher of the two numbers"
            " counts."
        ),
    )
    history_database: Secret = Field(
        "",
        description=(
            "Where the historian keeps the history: a file (SQLite), or"
            " postgresql://user:password@host/name; empty: nowhere."
        ),
        repr=False,
    )
    history_days: float = Field(
        90.0,
        gt=0,
        le=36500,
        description="Days for which the historian keeps what was superseded.",
    )
    history_rows: int = Field(
        10_000_000,
        ge=1,
        description=(
            "Changes that the historian keeps at the most, besides the newest of each"
            " record."
        ),
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field(
        "console",
        description="console: one line for people; json: one document a line.",
    )

    @field_validator("etcd_endpoints", mode="before")
    @classmethod
    def _split(cls, value: str | Iterable[str]) -> tuple[str, ...]:
        return endpoints(value.split(",") if isinstance(value, str) else value)

    @field_validator(
        "config_prefix",
        "state_prefix",
        "monitoring_prefix",
        "jobs_prefix",
        "worker_prefix",
    )
    @classmethod
    def _prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if not re.fullmatch(r"(/[^/\s]+)+", prefix):
            raise ValueError("expected a key prefix such as /config")
        if (prefix + "/").startswith("/gohan/"):
            raise ValueError("nothing below /gohan/ is ever read or written")
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

    @field_validator("broker_url")
    @classmethod
    def _broker_url(cls, value: str) -> str:
        broker.parse_url(value)
        return value

    @field_validator("broker_transport_options", mode="before")
    @classmethod
    def _broker_options(
        cls, value: str | Mapping[str, Json]
    ) -> dict[str, Json]:
        if not isinstance(value, str):
            return broker.parse_options(dict(value))
        try:
            document = json.loads(value or "{}", parse_constant=_no_constant)
        except ValueError:
            raise ValueError("it is not JSON") from None
        return broker.parse_options(document)

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

    @field_validator("history_database")
    @classmethod
    def _history_database(cls, value: str) -> str:
        if value:
            database.parse(value)
        return value

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
        """Seconds for all that one chain of tasks asks of Heat: two answers that take their
        time."""
        return 2 * max(self.heat_deadline, self.heat_timeout)

    @property
    def task_limit(self) -> float:
        """Seconds after which a task is stopped: a list of stacks, a chain after it, and some
        more."""
        return 1.5 * self.chain_time + 30

    @property
    def etcd(self) -> EtcdAccess:
        return EtcdAccess(
            self.etcd_endpoints,
            self.etcd_user,
            self.etcd_password,
            self.etcd_ca,
            self.etcd_cert,
            self.etcd_key,
        )

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
    def broker(self) -> BrokerAccess:
        return BrokerAccess(
            url=self.broker_url,
            master_name=self.broker_master_name,
            sentinel_user=self.broker_sentinel_user,
            sentinel_password=self.broker_sentinel_password,
            tls=self.broker_tls,
            tls_verify=self.broker_tls_verify,
            ca=self.broker_ca,
            certificate=self.broker_cert,
            key=self.broker_key,
            options=self.broker_transport_options,
        )

    @property
    def monitoring_rules(self) -> Rules:
        return Rules.parse(self.monitoring_allow, self.monitoring_deny)

    @property
    def prefixes(self) -> Prefixes:
        return Prefixes(
            self.config_prefix,
            self.state_prefix,
            self.monitoring_prefix,
            self.jobs_prefix,
            self.worker_prefix,
        )


def _no_constant(name: str) -> Json:
    raise ValueError(name)


def endpoints(parts: Iterable[str]) -> tuple[str, ...]:
    """``host:port`` of each part; ``http://`` in front of it is left out.

    :raises ValueError: one of them is not usable, or stands there twice. It is quoted unless it may
        hold a password.
    """
    found: list[str] = []
    for part in parts:
        scheme, _, rest = part.strip().rpartition("://")
        endpoint = rest.rstrip("/")
        if "@" in endpoint:
            raise ValueError(
                "user and password go into ORCHESTRATOR_ETCD_USER and _PASSWORD"
            )
        if scheme not in ("", "http", "https"):
            raise ValueError(
                f"expected host:port[,host:port…], not {part.strip()!r}"
            )
        if fault := _endpoint_fault(endpoint):
            raise ValueError(fault)
        if endpoint in found:
            raise ValueError(f"{endpoint} stands there twice")
        found.append(endpoint)
    return tuple(found)


def _endpoint_fault(endpoint: str) -> str:
    match = re.fullmatch(
        r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):([0-9]{1,5})", endpoint
    )
    if match:
        return (
            ""
            if 0 < int(match[2]) < 65536
            else f"{endpoint}: ports are 1 to 65535"
        )
    if endpoint.count(":") > 1 and "[" not in endpoint:
        return (
            f"an IPv6 address stands in brackets: [::1]:2379, not {endpoint!r}"
        )
    return (
        "expected host:port[,host:port…], as in etcd1:2379,etcd2:2379, not"
        f" {endpoint!r}"
    )


# Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings of a process, and where each comes from.

    *sources* are by field name, for what is not the default.
    *others* are variables of other programs (``OS_…``, ``FLOWER_…``) from the environment and the
    environment file.
    """

    settings: Settings
    sources: Mapping[str, str]
    others: Mapping[str, Found]


def hidden(name: str) -> bool:
    """Whether a setting's value may hold a secret, and so may lie in a file of its own."""
    marks = Settings.model_fields[name].metadata
    is_path = Mark.FILE in marks or Mark.FOLDER in marks
    return Mark.SECRET in marks or (is_secret(name) and not is_path)


def load() -> Settings:
    """The settings of this process.

    :raises SettingsError: naming every variable that cannot be used.
    """
    return read(os.environ).settings


def read(environ: Mapping[str, str]) -> Loaded:
    """The settings that an environment holds, and where each comes from.

    :raises SettingsError: naming every variable that cannot be used.
    """
    fields = Settings.model_fields
    reading = environment.read(
        fields, [name for name in fields if hidden(name)], environ
    )
    faults = list(reading.faults)
    usable: dict[str, str] = {}
    for name, found in reading.settings.items():
        text = (
            found.value.strip()
            if Mark.DOCUMENT in fields[name].metadata
            else found.value
        )
        if fault := settings_checks.text_fault(text):
            faults.append(f"{_variable(name)}: {fault}")
        elif not text and fields[name].default != "":
            faults.append(
                f"{_variable(name)}: it is empty; give a value or remove the variable"
            )
        else:
            usable[name] = text
    settings, more = _validated(usable)
    faults += more
    refused = {
        name
        for name in fields
        if any(f.startswith(_variable(name) + ":") for f in faults)
    }
    faults += _faults_together(settings, usable, refused)
    if faults:
        raise SettingsError(faults, settings.log_format)
    sources = {name: found.source for name, found in reading.settings.items()}
    return Loaded(settings, sources, reading.others)


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _validated(usable: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings as far as they can be used, with the default for the others; and the faults."""
    try:
        return Settings.model_validate(usable), []
    except ValidationError as error:
        found = {str(fault["loc"][0]): dict(fault) for fault in error.errors()}
        rest = {
            name: text for name, text in usable.items() if name not in found
        }
        return Settings.model_validate(rest), list(_sentences(found))


def _faults_together(
    settings: Settings, texts: Mapping[str, str], refused: Collection[str]
) -> Iterator[str]:
    """What is not there, and what does not go together.

    :param refused: fields that cannot be used anyway, and stand at their defaults.
    """
    fields = Settings.model_fields
    files, folders = (
        {
            _variable(n): getattr(settings, n)
            for n, field in fields.items()
            if mark in field.metadata
        }
        for mark in (Mark.FILE, Mark.FOLDER)
    )
    yield from settings_checks.file_faults(_others(files))
    yield from settings_checks.folder_faults(folders)
    yield from _certificate_faults(
        "ETCD", settings.etcd_ca, settings.etcd_cert, settings.etcd_key
    )
    yield from _certificate_faults(
        "BROKER", settings.broker_ca, settings.broker_cert, settings.broker_key
    )
    yield from _schema_faults(settings)
    groups = {name.partition("_")[0] for name in refused}
    if not any(name.endswith("_prefix") for name in refused):
        prefixes = {
            _variable(n): getattr(settings, n)
            for n in fields
            if n.endswith("_prefix")
        }
        yield from settings_checks.prefix_faults(prefixes)
    if "etcd" not in groups:
        yield from settings_checks.etcd_faults(texts)
    if "broker" not in groups:
        access = settings.broker
        yield from (f"{PREFIX}BROKER_{told}" for told in broker.faults(access))
        for name in broker.FILES_IN_URL:
            path = access.address.query.get(name, "")
            yield from settings_checks.file_faults(
                {f"{PREFIX}BROKER_URL: {name}": path}
            )


_CERTIFICATES = {"ca": "CA", "certificate": "CERT", "key": "KEY"}


def _certificate_faults(
    group: str, ca: str, certificate: str, key: str
) -> Iterator[str]:
    """:param group: ``ETCD`` or ``BROKER``."""
    for name, fault in certificates.faults(ca, certificate, key):
        yield f"{PREFIX}{group}_{_CERTIFICATES[name]}: {fault}"


def _others(files: Mapping[str, str]) -> dict[str, str]:
    """Without those of which :func:`_certificate_faults` tells more."""
    told = (f"{PREFIX}ETCD_", f"{PREFIX}BROKER_")
    return {
        variable: path
        for variable, path in files.items()
        if not variable.startswith(told)
    }


def _schema_faults(settings: Settings) -> Iterator[str]:
    """What does not go together."""
    if settings.schemas_token and settings.schemas_token_file:
        yield (
            "ORCHESTRATOR_SCHEMAS_TOKEN_FILE: ORCHESTRATOR_SCHEMAS_TOKEN is set too;"
            " give one of them"
        )
    if settings.schemas_auth == KEYSTONE:
        if settings.schemas_token or settings.schemas_token_file:
            yield (
                "ORCHESTRATOR_SCHEMAS_AUTH: with keystone, Keystone makes the token;"
                " give no ORCHESTRATOR_SCHEMAS_TOKEN(_FILE)"
            )
    elif settings.schemas_os_cloud:
        yield "ORCHESTRATOR_SCHEMAS_OS_CLOUD: needs ORCHESTRATOR_SCHEMAS_AUTH=keystone"


def _sentences(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, fault in found.items():
        kind, context = str(fault["type"]), fault.get("ctx", {})
        if kind == "value_error":
            told = str(context["error"])
        else:
            shown = "" if hidden(name) else str(fault["input"])
            told = settings_checks.form_fault(
                kind, context, str(fault["msg"]), shown
            )
        yield f"{_variable(name)}: {told}"
