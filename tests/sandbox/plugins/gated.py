"""A resource type whose operations wait, and fail, at a test's word.

``Test::Gated`` reads the file that its property ``gate`` names. A line ``hold UPDATE`` keeps the
resource in progress for as long as it stands there and the stack is in action UPDATE; ``fail
UPDATE`` makes the operation fail. A line may end with the resource's name, and is for that one
only. A file that is not there says nothing.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heat.common.i18n import _
from heat.engine import properties, resource


class Gated(resource.Resource):  # type: ignore[misc]  # Heat has no types
    """A resource with a gate before each of its operations."""

    properties_schema = {
        "gate": properties.Schema(properties.Schema.STRING, _("A file."), required=True),
        "value": properties.Schema(properties.Schema.STRING, _("Text."), update_allowed=True),
    }

    def needs_replace_failed(self) -> bool:
        """As the machines and volumes of a cloud: one that is there is kept, though an operation
        on it failed."""
        return self.resource_id is None or self.action == self.CREATE

    def handle_create(self) -> None:
        self.resource_id_set(str(uuid.uuid4()))

    def handle_update(self, json_snippet: Any, tmpl_diff: Any, prop_diff: Any) -> None:
        """Nothing but the gate."""

    def handle_adopt(self, resource_data: Mapping[str, Any]) -> None:
        self.resource_id_set(resource_data["resource_id"])

    def _handle(self, *_: Any) -> None:
        """Nothing but the gate."""

    def _is_open(self, *_: Any) -> bool:
        words: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            words = Path(self.properties["gate"]).read_text().splitlines()
        action = self.stack.action
        mine = [line.removesuffix(f" {self.name}") for line in words]
        if f"fail {action}" in mine:
            raise Closed(f"the gate says: fail {action}")
        return f"hold {action}" not in mine

    handle_delete = handle_suspend = handle_resume = handle_check = handle_snapshot = _handle
    check_create_complete = check_update_complete = check_delete_complete = _is_open
    check_suspend_complete = check_resume_complete = check_check_complete = _is_open
    check_snapshot_complete = check_adopt_complete = _is_open

    def handle_delete_snapshot(self, snapshot: Any) -> None:
        """Nothing was kept."""

    def handle_restore(self, defn: Any, restore_data: Any) -> Any:
        return defn


class Closed(Exception):
    """The gate says that the operation fails."""


def resource_mapping() -> Mapping[str, type]:
    return {"Test::Gated": Gated}
