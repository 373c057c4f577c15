"""Settings of the servers that the orchestrator talks to: etcd, the broker, the API server.

Heat's are in :mod:`.work`; its addresses and passwords are OpenStack's own variables (``OS_…``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field, field_validator

from ..clients import broker
from ..clients.broker import BrokerAccess
from ..clients.etcd import EtcdAccess
from ..clients.schema_list import AUTHENTICATIONS, SchemaAccess, source_fault
from ..core.documents import parse_json
from ..core.refs import Json
from .forms import File, Folder, Group, Mark, Seconds, Secret, parts_of


class EtcdSettings(Group):
    """How etcd is reached."""

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

    @field_validator("etcd_endpoints", mode="before")
    @classmethod
    def _split(cls, value: str | Iterable[str]) -> tuple[str, ...]:
        return endpoints(parts_of(value))

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


class BrokerSettings(Group):
    """How the broker is reached."""

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
            document = parse_json(value or "{}")
        except ValueError:
            raise ValueError("it is not JSON") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        return broker.parse_options(document)

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


class CatalogueSettings(Group):
    """Where the types and the templates come from."""

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
    if match and 0 < int(match[2]) < 65536:
        return ""
    if match:
        return f"{endpoint}: ports are 1 to 65535"
    if endpoint.count(":") > 1 and "[" not in endpoint:
        return (
            f"an IPv6 address stands in brackets: [::1]:2379, not {endpoint!r}"
        )
    return (
        "expected host:port[,host:port…], as in etcd1:2379,etcd2:2379, not"
        f" {endpoint!r}"
    )
