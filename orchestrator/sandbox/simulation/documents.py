"""What the simulated cloud says about a resource: ids, addresses and the documents behind its
attributes.

Values are plausible and stable.
What can be derived is derived from the resource's id and properties; what has to be chosen (an
address out of a subnet) is chosen once, when the resource is made, and kept with the resource in
Heat's database as its `facts`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

#: Addresses of ports on networks the simulation knows no subnet of.
ELSEWHERE = "10.128.0.0/9"

#: Addresses of floating IPs and of routers on external networks.
OUTSIDE = "203.0.113.0/24"

#: Under this name the facts of a resource are kept in Heat's database.
FACTS = "simulated"

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
class Cloud:
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
        subnet_id = subnet or (
            known["id"] if known else uuid_for("subnet", network or owner)
        )
        with self.lock:
            if not wanted:
                cidr, gateway = (
                    (known["cidr"], known["gateway_ip"])
                    if known
                    else (ELSEWHERE, None)
                )
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


CLOUD = Cloud()


def _hosts(cidr: str, owner: str) -> Iterator[str]:
    """Addresses of a network: in order when it is one somebody made, from a place of the owner's
    own elsewhere."""
    network = ipaddress.ip_network(cidr, strict=False)
    start = 1 if network.num_addresses > 2 else 0
    if cidr in (ELSEWHERE, OUTSIDE):
        start += int.from_bytes(
            hashlib.sha256(owner.encode()).digest()[:4], "big"
        ) % (network.num_addresses - 2)
    last = network.num_addresses - (
        2 if network.version == 4 and network.num_addresses > 2 else 1
    )
    return (str(network[index]) for index in range(start, last + 1))


def _outside(identity: str) -> str:
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
    entries: list[Document] = wanted or (
        [] if properties.get("no_fixed_ips") else [{}]
    )
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
        gateway = (
            str(network[1]) if network.num_addresses > 2 else str(network[0])
        )
    facts = {"id": identity, "cidr": cidr, "gateway_ip": gateway or None}
    facts["network_id"] = properties.get("network") or properties.get(
        "network_id"
    )
    CLOUD.subnets[identity] = facts
    return facts


def net_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    return {
        "subnets": [subnet["id"] for subnet in CLOUD.subnets_of(identity)],
        "mtu": 1450,
        "l2_adjacency": True,
        "segments": [],
        "router:external": False,
        "port_security_enabled": _default(
            properties, "port_security_enabled", True
        ),
        "qos_policy_id": properties.get("qos_policy"),
        "provider:network_type": _default(properties, "network_type", "vxlan"),
        "provider:segmentation_id": int(uuid.UUID(identity)) % 4000 + 1,
    }


def subnet_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    network = ipaddress.ip_network(facts["cidr"], strict=False)
    first, last = (
        min(2, network.num_addresses - 1),
        max(network.num_addresses - 2, 0),
    )
    pool = {"start": str(network[first]), "end": str(network[last])}
    return {
        **facts,
        "allocation_pools": properties.get("allocation_pools") or [pool],
        "dns_nameservers": properties.get("dns_nameservers") or [],
        "host_routes": properties.get("host_routes") or [],
        "ip_version": network.version,
    }


def port_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    subnets = [
        CLOUD.subnets.get(fixed["subnet_id"], {"id": fixed["subnet_id"]})
        for fixed in facts["fixed_ips"]
    ]
    return {
        "network_id": facts["network_id"],
        "fixed_ips": facts["fixed_ips"],
        "mac_address": facts["mac_address"],
        "subnets": subnets,
        "network": {"id": facts["network_id"], "status": "ACTIVE"},
        "device_id": properties.get("device_id") or "",
        "device_owner": properties.get("device_owner") or "",
        "security_groups": properties.get("security_groups") or [],
        "allowed_address_pairs": properties.get("allowed_address_pairs") or [],
        "port_security_enabled": _default(
            properties, "port_security_enabled", True
        ),
        "qos_policy_id": properties.get("qos_policy"),
        "dns_assignment": [],
        "propagate_uplink_status": bool(
            properties.get("propagate_uplink_status")
        ),
    }


def router_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    gateway = properties.get("external_gateway_info")
    if not gateway:
        return {"external_gateway_info": None}
    network = gateway.get("network") or gateway.get("network_id")
    fixed = [
        {
            "subnet_id": uuid_for("subnet", str(network)),
            "ip_address": _outside(identity),
        }
    ]
    info = {
        "network_id": network,
        "enable_snat": _default(gateway, "enable_snat", True),
        "external_fixed_ips": fixed,
    }
    return {"external_gateway_info": info}


def floating_ip_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    port = properties.get("port_id")
    fixed = CLOUD.ports.get(port or "", {}).get("fixed_ips") or [{}]
    return {
        "floating_ip_address": (
            properties.get("floating_ip_address") or _outside(identity)
        ),
        "floating_network_id": (
            properties.get("floating_network")
            or properties.get("floating_network_id")
        ),
        "fixed_ip_address": (
            properties.get("fixed_ip_address") or fixed[0].get("ip_address")
        ),
        "port_id": port,
        "router_id": uuid_for("router", port) if port else None,
    }


def server_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    addresses: dict[str, list[Document]] = {}
    for interface in facts["interfaces"]:
        for fixed in interface["fixed_ips"]:
            entry = {
                "addr": fixed["ip_address"],
                "version": ipaddress.ip_address(fixed["ip_address"]).version,
                "OS-EXT-IPS-MAC:mac_addr": interface["mac_address"],
                "OS-EXT-IPS:type": "fixed",
                "port": interface["port_id"],
            }
            addresses.setdefault(interface["network_id"], []).append(entry)
    plain = {
        network: [entry["addr"] for entry in entries]
        for network, entries in addresses.items()
    }
    every = [address for entries in plain.values() for address in entries]
    console = f"http://127.0.0.1:6080/vnc_auto.html?path=%3Ftoken%3D{identity}"
    return {
        "addresses": addresses,
        "networks": plain,
        "first_address": every[0] if every else "",
        "instance_name": f"instance-{int(uuid.UUID(identity)) % 16**8:08x}",
        "accessIPv4": "",
        "accessIPv6": "",
        "console_urls": {"novnc": console},
        "tags": properties.get("tags") or [],
        "os_collect_config": {},
        "hostId": hashlib.sha256(identity.encode()).hexdigest()[:56],
    }


def key_pair_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    return {
        "public_key": (
            properties.get("public_key") or f"ssh-ed25519 {mac_for(identity)}"
        ),
        "private_key": "",
    }


def balancer_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    fixed = facts["fixed_ips"][0]
    return {
        "vip_address": fixed["ip_address"],
        "vip_subnet_id": fixed["subnet_id"],
        "vip_port_id": facts["vip_port_id"],
        "pools": [],
        "listeners": [],
        "flavor_id": properties.get("flavor"),
    }


def listener_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    return {
        "loadbalancers": _references(properties, "loadbalancer"),
        "default_pool_id": properties.get("default_pool"),
    }


def pool_document(
    identity: str, properties: Document, facts: Document
) -> Document:
    return {
        "loadbalancers": _references(properties, "loadbalancer"),
        "listeners": _references(properties, "listener"),
        "members": [],
        "healthmonitor_id": None,
    }


def nothing(identity: str, properties: Document, facts: Document) -> Document:
    return {}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is particular to a resource type: the facts chosen when it is made, and the document
    made of them."""

    document: Callable[[str, Document, Document], Document] = nothing
    facts: Callable[[str, Document, Document], Document] | None = None


# : Types of which more can be said than their properties.
# All others say their properties, an id and a status.
KINDS: Mapping[str, Kind] = {
    "OS::Neutron::Net": Kind(net_document),
    "OS::Neutron::ProviderNet": Kind(net_document),
    "OS::Neutron::Subnet": Kind(subnet_document, subnet_facts),
    "OS::Neutron::Port": Kind(port_document, port_facts),
    "OS::Neutron::Router": Kind(router_document),
    "OS::Neutron::FloatingIP": Kind(floating_ip_document),
    "OS::Nova::Server": Kind(server_document, server_facts),
    "OS::Nova::KeyPair": Kind(key_pair_document),
    "OS::Octavia::LoadBalancer": Kind(balancer_document, balancer_facts),
    "OS::Octavia::Listener": Kind(listener_document),
    "OS::Octavia::Pool": Kind(pool_document),
}


def _default(properties: Document, key: str, value: Any) -> Any:
    given = properties.get(key)
    return value if given is None else given


def _references(properties: Document, key: str) -> list[Document]:
    return [{"id": properties[key]}] if properties.get(key) else []
