"""The difference of what Heat was asked last and what it will be asked, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..refs import Json
from . import requests
from .hiding import Hiding
from .requests import ForecastRequest


@dataclass(frozen=True, slots=True)
class Told:
    """What Heat was asked, what it will be asked, and the difference without secrets."""

    now: ForecastRequest | None
    then: ForecastRequest | None
    hiding: Hiding

    def parameters(self) -> dict[str, tuple[Json, Json]]:
        if self.then is None:
            return {}
        before: Mapping[str, Json] = {}
        if self.now is not None:
            before = self.now.parameters
        changed = requests.changed_parameters(before, self.then.parameters)
        return {
            name: self.hiding.parameter(name, *pair)
            for name, pair in changed.items()
        }

    def hot(self) -> str:
        if self.then is None or self.then.text is None or self._is_lost:
            return ""
        after, before = self.then.text, ""
        if self.now is not None:
            before = self.now.text or ""
        return requests.unified(
            self.hiding.text(before), self.hiding.text(after)
        )

    @property
    def _is_lost(self) -> bool:
        """Whether the template as it was rendered last needs values that nobody knows any more."""
        return self.now is not None and self.now.blind

    def unknown(self) -> tuple[str, ...]:
        """What cannot be said before it happens."""
        if self.then is None:
            return ()
        told: list[str] = []
        if self.then.problem:
            told.append(f"it will fail: {self.then.problem}")
        elif self.then.text is None:
            outputs = ", ".join(
                f"{o.key} of {o.ref}" for o in self.then.missing
            )
            told.append(f"the rendered template: it needs output {outputs}")
        elif self._is_lost:
            told.append(
                "the difference of the rendered template: it was rendered with outputs"
                " that have another value now"
            )
        return tuple(map(self.hiding.text, told))
