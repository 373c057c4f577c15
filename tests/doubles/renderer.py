"""Rendering in this process."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core import jinja
from orchestrator.core.refs import Json


class PlainRenderer:
    """Renders in this process, without limits."""

    def start(self) -> None:
        """There is nothing to start."""

    def render(
        self, template_id: str, text: str, variables: Mapping[str, Json], tenant: str
    ) -> str:
        return jinja.render(template_id, text, variables)

    def close(self) -> None:
        """There is nothing to end."""
