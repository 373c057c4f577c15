"""Settings of the keys, of the bridge, of the historian and of logs."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from ..clients import database
from ..core.keys import Prefixes
from .forms import Group, Pause, Secret


class KeySettings(Group):
    """Where the records lie in etcd."""

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

    @property
    def prefixes(self) -> Prefixes:
        return Prefixes(
            self.config_prefix,
            self.state_prefix,
            self.monitoring_prefix,
            self.jobs_prefix,
            self.worker_prefix,
        )


class BridgeSettings(Group):
    """How the bridge leads, answers probes and holds deletions."""

    health_port: int = Field(
        0,
        ge=0,
        lt=65536,
        description="Port of the bridge's /health and /metrics; 0: none.",
    )
    health_address: str = Field(
        "127.0.0.1",
        description=(
            "Address on which the bridge answers /health and /metrics, and workers and"
            " the historian /metrics."
        ),
    )
    worker_metrics_port: int = Field(
        0,
        ge=0,
        lt=65536,
        description=(
            "Port of a worker's /metrics; 0: none. Each worker of a machine needs one"
            " of its own."
        ),
    )
    metrics_tenants: int = Field(
        20,
        ge=0,
        le=10_000,
        description=(
            "Tenants that metrics name, those that come first; the others are counted"
            " together."
        ),
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


class HistorySettings(Group):
    """Where the historian keeps the history, and how much of it."""

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

    historian_metrics_port: int = Field(
        0,
        ge=0,
        lt=65536,
        description="Port of the historian's /metrics; 0: none.",
    )

    @field_validator("history_database")
    @classmethod
    def _history_database(cls, value: str) -> str:
        if value:
            database.parse(value)
        return value


class LogSettings(Group):
    """What is logged and traced, and in which form."""

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field(
        "console",
        description="console: one line for people; json: one document a line.",
    )

    traces_endpoint: str = Field(
        "",
        description=(
            "URL of a collector that takes traces by OTLP over HTTP, such as"
            " http://127.0.0.1:4318/v1/traces; empty: no traces."
        ),
    )

    @field_validator("traces_endpoint")
    @classmethod
    def _traces_endpoint(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s@]+", value):
            raise ValueError(
                "expected an http:// or https:// URL, without a password"
            )
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
