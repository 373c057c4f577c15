"""What the simulated cloud says about a resource: ids, addresses and the documents behind its
attributes.

Values are plausible and stable. What can be derived is derived from the resource's id and
properties; the rest is among its :mod:`.facts`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .facts import (
    CLOUD,
    Document,
    balancer_facts,
    mac_for,
    outside,
    port_facts,
    server_facts,
    subnet_facts,
    uuid_for,
)


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
            "ip_address": outside(identity),
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
            properties.get("floating_ip_address") or outside(identity)
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
class SimulatedKind:
    """What is particular to a resource type: the facts chosen when it is made, and the document
    made of them."""

    document: Callable[[str, Document, Document], Document] = nothing
    facts: Callable[[str, Document, Document], Document] | None = None


KINDS: Mapping[str, SimulatedKind] = {
    "OS::Neutron::Net": SimulatedKind(net_document),
    "OS::Neutron::ProviderNet": SimulatedKind(net_document),
    "OS::Neutron::Subnet": SimulatedKind(subnet_document, subnet_facts),
    "OS::Neutron::Port": SimulatedKind(port_document, port_facts),
    "OS::Neutron::Router": SimulatedKind(router_document),
    "OS::Neutron::FloatingIP": SimulatedKind(floating_ip_document),
    "OS::Nova::Server": SimulatedKind(server_document, server_facts),
    "OS::Nova::KeyPair": SimulatedKind(key_pair_document),
    "OS::Octavia::LoadBalancer": SimulatedKind(
        balancer_document, balancer_facts
    ),
    "OS::Octavia::Listener": SimulatedKind(listener_document),
    "OS::Octavia::Pool": SimulatedKind(pool_document),
}
"""Types of which more can be said than their properties. All others say their properties, an id and
a status."""


def _default(properties: Document, key: str, value: Any) -> Any:
    given = properties.get(key)
    if given is None:
        return value
    return given


def _references(properties: Document, key: str) -> list[Document]:
    if properties.get(key):
        return [{"id": properties[key]}]
    return []
