"""What kombu and redis-py are told of the broker."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.refs import Json
from .url import SENTINEL, TLS, VERIFIED, Address, parse_url

_CERTIFICATES = {True: ssl.CERT_REQUIRED, False: ssl.CERT_NONE}


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """How to reach the broker.

    *tls* is for Redis behind Sentinel; ``rediss://`` has it anyway. Certificate files are paths.
    *options* are transport options that go before all others.
    """

    url: str = "redis://127.0.0.1:6379/0"
    master_name: str = ""
    sentinel_user: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: bool = False
    tls_verify: bool = True
    ca: str = ""
    certificate: str = ""
    key: str = ""
    options: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> Address:
        """:raises ValueError: the URL cannot be used."""
        return parse_url(self.url)

    @property
    def master(self) -> Json:
        """The name of the master, from wherever it is said; empty when nobody says it."""
        in_url = self.address.query.get("master_name")
        return self.master_name or in_url or self.options.get("master_name")

    @property
    def uses_tls(self) -> bool:
        address = self.address
        if address.scheme == TLS:
            return True
        asked = self.tls or any(
            name.startswith("ssl_") for name in address.query
        )
        return asked and address.scheme == SENTINEL

    @property
    def ssl_options(self) -> dict[str, Any] | None:
        """What redis-py is told of TLS, None without TLS.

        Certificates are verified unless told otherwise. kombu's own default for ``rediss://`` is
        not to verify them (kombu.connection.Connection._init_params).
        """
        if not self.uses_tls:
            return None
        query = self.address.query
        asked = (
            query.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        )
        verified = VERIFIED[asked] and self.tls_verify
        named = {
            "ssl_ca_certs": query.get("ssl_ca_certs") or self.ca,
            "ssl_certfile": query.get("ssl_certfile") or self.certificate,
            "ssl_keyfile": query.get("ssl_keyfile") or self.key,
        }
        return {
            "ssl_cert_reqs": _CERTIFICATES[verified],
            "ssl_check_hostname": (
                query.get("ssl_check_hostname", "true").lower() != "false"
            ),
            **{name: path for name, path in named.items() if path},
        }

    def transport_options(self, **ours: Json) -> dict[str, Json]:
        """Ours, then those that belong to the URL, then those of the settings."""
        options = {**ours, **self._sentinel_options(ours), **self.options}
        own_sentinel = self.options.get("sentinel_kwargs")
        if own_sentinel is not None:
            options["sentinel_kwargs"] = {
                **self._sentinel_kwargs(ours),
                **own_sentinel,
            }
        return options

    def _sentinel_options(self, ours: Mapping[str, Json]) -> dict[str, Json]:
        if self.address.scheme != SENTINEL:
            return {}
        name = self.master_name or self.address.query.get("master_name", "")
        return {
            "master_name": name,
            "sentinel_kwargs": self._sentinel_kwargs(ours),
        }

    def _sentinel_kwargs(self, ours: Mapping[str, Json]) -> dict[str, Json]:
        """For the connections to the Sentinels themselves."""
        told = {**ours, **self.options}
        names = ("socket_timeout", "socket_connect_timeout")
        found: dict[str, Json] = {
            name: told[name] for name in names if name in told
        }
        if self.sentinel_password:
            found["password"] = self.sentinel_password
        if self.sentinel_user:
            found["username"] = self.sentinel_user
        if tls := self.ssl_options:
            found |= {"ssl": True, **tls}
        return found
