"""The simulated resource types: Heat's own classes, with everything that would speak to a cloud
replaced.

One mixin, put before each real class.
The real class keeps its properties and attributes schemas, its translation of old property names,
its checks of the template and its implicit dependencies, so that a template is taken or refused
here for the same reasons as on a real cloud.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import time
import uuid
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from heat.engine import attributes as heat_attributes
from heat.engine import resource, translation

from orchestrator.sandbox.simulation import documents, facts, faults
from orchestrator.sandbox.simulation.agreeable import Agreeable

#: The services whose types are simulated: every resource type that Heat has for them.
SERVICES = (
    "barbican",
    "cinder",
    "designate",
    "glance",
    "manila",
    "neutron",
    "nova",
    "octavia",
)

# : Heat's own types that check for an endpoint of Heat itself in the catalogue, and need nothing
# else.
LOCAL = (
    "OS::Heat::CloudConfig",
    "OS::Heat::MultipartMime",
    "OS::Heat::SoftwareConfig",
    "OS::Heat::StructuredConfig",
)

#: The value of an attribute of which only the type is known.
EMPTY: Mapping[str, Any] = {
    heat_attributes.Schema.LIST: [],
    heat_attributes.Schema.MAP: {},
    heat_attributes.Schema.BOOLEAN: True,
    heat_attributes.Schema.INTEGER: 0,
}


class Simulated(resource.Resource):  # type: ignore[misc]  # Heat has no types
    """Stands before a real resource class and keeps it from the cloud it would need."""

    # : Without a client, Heat takes the type's service as available and recognises no errors of a
    # cloud.
    default_client_name = None
    required_service_extension = None

    #: The name of the type, which errors and documents mention.
    simulated_type: str

    def client(
        self, name: str | None = None, version: str | None = None
    ) -> Any:
        return Agreeable()

    def client_plugin(self, name: str | None = None) -> Any:
        return Agreeable()

    @classmethod
    def is_service_available(cls, context: Any) -> tuple[bool, str | None]:
        return True, None

    def translation_rules(self, properties: Any) -> list[Any]:
        """The real rules but those that ask a cloud for the id behind a name: here a name is as
        good as an id."""
        rules = super().translation_rules(properties) or []
        return [
            rule
            for rule in rules
            if rule.rule != translation.TranslationRule.RESOLVE
        ]

    # -- what is done to the resource

    def handle_create(self) -> float:
        properties = self._plain(self.properties)
        self.resource_id_set(self._new_id(properties))
        self._choose_facts(properties)
        return self._deadline(properties)

    def check_create_complete(self, deadline: float) -> bool:
        return self._finished("create", deadline, self._plain(self.properties))

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Any, prop_diff: Any
    ) -> tuple[float, facts.Document]:
        properties = self._plain(
            json_snippet.properties(self.properties_schema, self.context)
        )
        self._choose_facts(properties)
        return self._deadline(properties), properties

    def check_update_complete(
        self, progress: tuple[float, facts.Document]
    ) -> bool:
        deadline, properties = progress
        return self._finished("update", deadline, properties)

    def handle_delete(self) -> float | None:
        return (
            None
            if self.resource_id is None
            else self._deadline(self._plain(self.properties))
        )

    def check_delete_complete(self, deadline: float | None) -> bool:
        if deadline is None:
            return True
        if not self._finished("delete", deadline, self._plain(self.properties)):
            return False
        facts.CLOUD.release(self._facts())
        facts.CLOUD.subnets.pop(self.resource_id, None)
        facts.CLOUD.ports.pop(self.resource_id, None)
        return True

    def handle_snapshot_delete(self, state: Any) -> float | None:
        return self.handle_delete()

    def handle_check(self) -> None:
        """Nothing can have happened to it behind Heat's back."""

    def needs_replace_failed(self) -> bool:
        """A resource whose creation failed is made anew by the next update, as one in ERROR is on a
        real cloud."""
        return self.resource_id is None or self.action == self.CREATE

    def prepare_for_replace(self) -> None:
        """The real types free addresses and names here; the simulated cloud lets both exist."""

    def restore_prev_rsrc(self, convergence: bool = False) -> None:
        """The counterpart of `prepare_for_replace`."""

    # -- what is said about it

    def get_live_state(self, resource_properties: Any) -> dict[str, Any]:
        return {}

    def _show_resource(self) -> facts.Document:
        properties = self._plain(self._stored_properties())
        document: facts.Document = {
            **{
                name: value
                for name, value in properties.items()
                if value is not None and name != "value_specs"
            },
            **(properties.get("value_specs") or {}),
            "id": self.resource_id,
            "name": properties.get("name") or self.physical_resource_name(),
            "status": (
                "ERROR"
                if (self.action, self.status) == (self.CREATE, self.FAILED)
                else "ACTIVE"
            ),
            "tenant_id": self.stack.context.project_id,
            "project_id": self.stack.context.project_id,
        }
        kind = documents.KINDS.get(
            self.simulated_type, documents.SimulatedKind()
        )
        if kind.facts and not self._facts():
            return document  # failed before it was given any
        return {
            **document,
            **kind.document(self.resource_id, properties, self._facts()),
        }

    def _resolve_attribute(self, name: str) -> Any:
        if self.resource_id is None:
            return None
        document = self._show_resource()
        if name in document:
            return document[name]
        if name.removesuffix("_id") in document:
            return document[
                name.removesuffix("_id")
            ]  # the property `router` is the attribute `router_id`
        return EMPTY.get(self.attributes_schema[name].type, "")

    # -- helpers

    def _new_id(self, properties: facts.Document) -> str:
        """A new id. A key pair has none on a real cloud either: it goes by its name."""
        if self.simulated_type == "OS::Nova::KeyPair":
            return str(properties["name"])
        return str(uuid.uuid4())

    def _stored_properties(self) -> Any:
        """The properties with which the resource was made, or last updated.

        They are literal.
        The current ones may hold references to attributes of other resources, which Heat does not
        resolve while it resolves outputs.
        """
        if self._stored_properties_data is None:
            return self.properties
        stored = self.frozen_definition().properties(
            self.properties_schema, self.context
        )
        self.translate_properties(stored, ignore_resolve_error=True)
        return stored

    def _plain(self, properties: Any) -> facts.Document:
        """The properties as plain data, with the defaults of their schema."""
        plain: facts.Document = json.loads(
            json.dumps(
                {name: properties[name] for name in properties}, default=str
            )
        )
        return plain

    def _choose_facts(self, properties: facts.Document) -> None:
        kind = documents.KINDS.get(self.simulated_type)
        if kind is None or kind.facts is None:
            return
        before = self._facts()
        chosen = kind.facts(self.resource_id, properties, before)
        if chosen != before:
            self.data_set(facts.FACTS, json.dumps(chosen))

    def _facts(self) -> facts.Document:
        stored: facts.Document = json.loads(
            self.data().get(facts.FACTS) or "{}"
        )
        return stored

    def _deadline(self, properties: facts.Document) -> float:
        return time.monotonic() + faults.delay(properties)

    def _finished(
        self, action: str, deadline: float, properties: facts.Document
    ) -> bool:
        if time.monotonic() < deadline:
            return False
        identity = (
            self.stack.context.project_id or "",
            self.stack.name,
            self.name,
        )
        if error := faults.failure(
            action, self.simulated_type, properties, identity
        ):
            raise error
        return True


class Local(resource.Resource):  # type: ignore[misc]  # Heat has no types
    """Stands before a class of Heat's own that works without a cloud, once its service is taken as
    available."""

    @classmethod
    def is_service_available(cls, context: Any) -> tuple[bool, str | None]:
        return True, None


def simulated() -> dict[str, type]:
    """A simulated class for every resource type of the simulated services, by the type's name."""
    found: dict[str, type] = {}
    for service in SERVICES:
        for module in _modules(f"heat.engine.resources.openstack.{service}"):
            mapping = getattr(
                module,
                "available_resource_mapping",
                getattr(module, "resource_mapping", dict),
            )
            for name, real in mapping().items():
                body = {
                    "simulated_type": name,
                    "__doc__": real.__doc__,
                    "__module__": __name__,
                }
                found[name] = type(
                    f"Simulated{real.__name__}", (Simulated, real), body
                )
    for module in _modules("heat.engine.resources.openstack.heat"):
        for name, real in getattr(module, "resource_mapping", dict)().items():
            if name in LOCAL:
                found[name] = type(
                    real.__name__,
                    (Local, real),
                    {"__doc__": real.__doc__, "__module__": __name__},
                )
    return found


def _modules(package: str) -> Iterator[ModuleType]:
    """All modules below a package."""
    path = importlib.import_module(package).__path__
    for entry in pkgutil.walk_packages(path, f"{package}."):
        yield importlib.import_module(entry.name)
