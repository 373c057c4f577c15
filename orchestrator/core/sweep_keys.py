"""The keys of drift and of sweeps; and how a tenant is named in a key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from urllib.parse import quote, unquote

NO_TENANT = "%"
"""Stands for a missing tenant in keys, where no quoted tenant can be mistaken for it: the project
of the credentials is used."""


def tenant_folder(tenant: str) -> str:
    """The tenant as a part of a key."""
    return quote(tenant, safe="") or NO_TENANT


def tenant_of(folder: str) -> str:
    """The tenant that a part of a key names."""
    if folder == NO_TENANT:
        return ""
    return unquote(folder)


class SweepKeys(ABC):
    """The part of :class:`~.keys.Keys` that is about drift."""

    __slots__ = ()

    @property
    @abstractmethod
    def own(self) -> str:
        """The folder of our own keys."""

    @property
    def drift(self) -> str:
        """What Heat has otherwise than it was built, by resource."""
        return self.own + "drift/"

    @property
    def updates(self) -> str:
        """When Heat began our last update of each stack, by resource."""
        return self.own + "updates/"

    @property
    def sweeps(self) -> str:
        """The last comparison of each tenant's stacks with Heat."""
        return self.own + "sweeps/"

    @property
    def sweeps_asked(self) -> str:
        """An operator asks for a comparison now."""
        return self.own + "sweeps_asked/"

    def sweep(self, tenant: str) -> str:
        """How the tenant's stacks were last compared with Heat."""
        return self.sweeps + tenant_folder(tenant)

    def sweep_tenant(self, key: str) -> str:
        return tenant_of(key.removeprefix(self.sweeps))
