"""Where Heat is, by Keystone's catalogue."""

from __future__ import annotations

from typing import Any

from ...core.refs import Json
from ...errors import EnvironmentUnusable
from .credentials import Credentials, endpoint_of
from .token import Token


def heat_address(credentials: Credentials, token: Token, tenant: str) -> str:
    """Heat's address for a project.

    :raises EnvironmentUnusable: the catalogue does not say it for this region and interface.
    """
    if credentials.endpoint:
        return endpoint_of(credentials.endpoint, tenant)
    ends = _endpoints_of_heat(token)
    found = [end for end in ends if _serves(end, credentials)]
    if found and isinstance(found[0].get("url"), str):
        return str(found[0]["url"]).rstrip("/")
    if not ends:
        raise EnvironmentUnusable(
            f"Keystone's catalogue for project {tenant} names no service of type"
            " orchestration; register Heat there, or set"
            " OS_ORCHESTRATION_ENDPOINT_OVERRIDE"
        )
    raise EnvironmentUnusable(
        f"Keystone's catalogue names Heat for {_places(ends)}, but not for region"
        f" {credentials.region or 'any'}, interface {credentials.interface}; correct"
        " OS_REGION_NAME or OS_INTERFACE"
    )


def _endpoints_of_heat(token: Token) -> list[Any]:
    return [
        end
        for service in token.catalog or ()
        if isinstance(service, dict)
        for end in service.get("endpoints") or ()
    ]


def _places(ends: list[Any]) -> str:
    """Region and interface of each endpoint."""
    places = set()
    for end in ends:
        if isinstance(end, dict):
            region = end.get("region_id") or end.get("region")
            places.add(f"{region}/{end.get('interface')}")
    return ", ".join(sorted(places))


def _serves(end: Json, credentials: Credentials) -> bool:
    if (
        not isinstance(end, dict)
        or end.get("interface") != credentials.interface
    ):
        return False
    return credentials.region in ("", end.get("region_id"), end.get("region"))
