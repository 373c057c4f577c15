"""The prefixes of all keys in etcd (CONTRACT section 1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The five key prefixes of the contract, without a slash at the end."""

    config: str = "/config"
    state: str = "/state"
    monitoring: str = "/monitoring"
    jobs: str = "/jobs"
    worker: str = "/esi-worker"

    def taken(self) -> tuple[str, ...]:
        """Where no config can lie whose key template leaves out the config prefix."""
        return (
            self.config,
            self.state,
            self.monitoring,
            self.jobs,
            self.worker,
            "/gohan",
        )
