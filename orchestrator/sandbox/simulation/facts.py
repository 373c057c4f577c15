"""What is chosen for a simulated resource when it is made: addresses, interfaces, MACs.

It is kept with the resource in Heat's database as its `facts`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import threading
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

ELSEWHERE = "10.128.0.0/9"
"""Addresses of ports on networks the simulation knows no subnet of."""

OUTSIDE = "203.0.113.0/24"
"""Addresses of floating IPs and of routers on external networks."""

FACTS = "simulated"
"""Under this name the facts of a resource are kept in Heat's database."""

Document = dict[str, Any]


class NoAddressLeft(Exception):
    """A subnet is full."""


def uuid_for(*parts: str) -> str:
    """The same id for the same parts, always."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def mac_for(identity: str) -> str:
    """A MAC address in the range that Neutron uses."""
    digest = hashlib.sha256(identity.encode()).digest()
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in digest[:3])


@dataclasses.dataclass
class SimulatedCloud:
    """What resources of different stacks must know of each other: subnets by network, addresses,
    ports.

    All of it is in the facts that Heat stores with the resources, from which a restarted Heat
    restores it.
    """

    subnets: dict[str, Document] = dataclasses.field(default_factory=dict)
    ports: dict[str, Document] = dataclasses.field(default_factory=dict)
    taken: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def subnets_of(self, network: str | None) -> list[Document]:
        return [
            subnet
            for subnet in list(self.subnets.values())
            if network and subnet["network_id"] == network
        ]

    def address(
        self,
        owner: str,
        network: str | None,
        subnet: str | None,
        wanted: str | None = None,
    ) -> Document:
        """An entry of a port's `fixed_ips`: the wanted address, else one of the subnet that nobody
        has."""
        known = self.subnets.get(subnet or "") or next(
            iter(self.subnets_of(network)), None
        )
        cidr, gateway = ELSEWHERE, None
        subnet_id = subnet or uuid_for("subnet", network or owner)
        if known:
            cidr, gateway = known["cidr"], known["gateway_ip"]
            subnet_id = subnet or known["id"]
        with self.lock:
            if not wanted:
                free = (
                    ip
                    for ip in _hosts(cidr, owner)
                    if ip != gateway and (subnet_id, ip) not in self.taken
                )
                wanted = next(free, None)
                if wanted is None:
                    raise NoAddressLeft(
                        f"No more IP addresses are available in the subnet {subnet_id}"
                        f" ({cidr})."
                    )
            self.taken.add((subnet_id, wanted))
        return {"subnet_id": subnet_id, "ip_address": wanted}

    def restore(self, stored: Iterable[tuple[str, Document]]) -> None:
        """Learn again what was there before a restart, from the facts of all resources by id."""
        for identity, facts in stored:
            if "cidr" in facts:
                self.subnets[identity] = facts
            if "mac_address" in facts:
                self.ports[identity] = facts
            self.taken.update(
                (fixed["subnet_id"], fixed["ip_address"])
                for fixed in facts.get("fixed_ips", [])
            )

    def release(self, facts: Document) -> None:
        """Give back the addresses a resource had."""
        for fixed in facts.get("fixed_ips", []):
            self.taken.discard((fixed["subnet_id"], fixed["ip_address"]))


CLOUD = SimulatedCloud()


def _hosts(cidr: str, owner: str) -> Iterator[str]:
    """Addresses of a network: in order when it is one somebody made, from a place of the owner's
    own elsewhere."""
    network = ipaddress.ip_network(cidr, strict=False)
    large = network.num_addresses > 2
    start, last = 0, network.num_addresses - 1
    if large:
        start = 1
    if cidr in (ELSEWHERE, OUTSIDE):
        start += int.from_bytes(
            hashlib.sha256(owner.encode()).digest()[:4], "big"
        ) % (network.num_addresses - 2)
    if large and network.version == 4:
        last -= 1
    return (str(network[index]) for index in range(start, last + 1))


def outside(identity: str) -> str:
    """An address outside of the cloud."""
    return next(_hosts(OUTSIDE, identity))


def port_facts(
    identity: str, properties: Document, before: Document
) -> Document:
    """Addresses and MAC of a port; what was chosen before is kept unless the properties now say
    otherwise."""
    network = properties.get("network") or properties.get("network_id")
    wanted = properties.get("fixed_ips")
    if before and wanted == before.get("wanted"):
        return before
    CLOUD.release(before)
    entries: list[Document] = wanted or [{}]
    if not wanted and properties.get("no_fixed_ips"):
        entries = []
    fixed = [
        CLOUD.address(
            identity,
            network,
            entry.get("subnet") or entry.get("subnet_id"),
            entry.get("ip_address"),
        )
        for entry in entries
    ]
    mac = (
        properties.get("mac_address")
        or before.get("mac_address")
        or mac_for(identity)
    )
    facts = {
        "wanted": wanted,
        "network_id": network,
        "fixed_ips": fixed,
        "mac_address": mac,
    }
    CLOUD.ports[identity] = facts
    return facts


def server_facts(
    identity: str, properties: Document, before: Document
) -> Document:
    """The interfaces of a server: the ports it names, and ports made for the networks it names."""
    wanted = properties.get("networks") or []
    if before and wanted == before.get("wanted"):
        return before
    CLOUD.release(before)
    interfaces: list[Document] = []
    own: list[Document] = []
    for index, entry in enumerate(wanted):
        port = entry.get("port") or uuid_for(identity, "port", str(index))
        known = CLOUD.ports.get(port)
        if known is None:
            subnet = entry.get("subnet")
            network = (
                entry.get("network")
                or entry.get("uuid")
                or CLOUD.subnets.get(subnet, {}).get("network_id")
            )
            fixed = CLOUD.address(port, network, subnet, entry.get("fixed_ip"))
            known = {
                "network_id": network,
                "fixed_ips": [fixed],
                "mac_address": mac_for(port),
            }
            own.append(fixed)
        network = known["network_id"] or uuid_for("network", port)
        interfaces.append({**known, "network_id": network, "port_id": port})
    return {"wanted": wanted, "interfaces": interfaces, "fixed_ips": own}


def balancer_facts(
    identity: str, properties: Document, before: Document
) -> Document:
    """The virtual address of a load balancer."""
    if before:
        return before
    subnet = properties.get("vip_subnet")
    fixed = CLOUD.address(
        identity,
        properties.get("vip_network"),
        subnet,
        properties.get("vip_address"),
    )
    return {
        "fixed_ips": [fixed],
        "vip_port_id": properties.get("vip_port") or uuid_for(identity, "vip"),
    }


def subnet_facts(
    identity: str, properties: Document, before: Document
) -> Document:
    """A subnet's range and gateway, which ports on its network are given addresses from."""
    cidr = (
        properties.get("cidr")
        or before.get("cidr")
        or f"10.{uuid.UUID(identity).int % 128}.0.0/24"
    )
    network = ipaddress.ip_network(cidr, strict=False)
    gateway = properties.get("gateway_ip")
    if gateway is None:
        gateway = str(network[0])
        if network.num_addresses > 2:
            gateway = str(network[1])
    facts = {"id": identity, "cidr": cidr, "gateway_ip": gateway or None}
    facts["network_id"] = properties.get("network") or properties.get(
        "network_id"
    )
    CLOUD.subnets[identity] = facts
    return facts
