"""No secret in a plan: what changes is told, its value is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .. import confidential, masking
from ..jobs import Job
from ..masking import MASK, Veil
from ..refs import Json
from ..rendering import StackRequest
from ..templates import Template
from .patches import PatchOperation

CHANGED = "changed"
"""Stands for a secret that is another one than before."""


@dataclass(frozen=True, slots=True)
class Hiding:
    """Knows the secrets of a resource, as it was and as it will be."""

    secrets: frozenset[str] = frozenset()
    _veil: Veil = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_veil", Veil(self.secrets))

    def is_secret(self, name: str, *values: Json) -> bool:
        """Whether a value of this name is secret: by the name, or because it is known to be."""
        if masking.is_secret(name):
            return True
        return any(
            text in self.secrets
            for value in values
            for text in masking.texts(value)
        )

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self._veil.over(text)

    def value(self, value: Json) -> Json:
        """A value without the secrets in it."""
        return self._veil.over_all(masking.masked(value))

    def parameter(
        self, name: str, before: Json, after: Json
    ) -> tuple[Json, Json]:
        """A parameter that changes, as it may be shown."""
        if self.is_secret(name, before, after):
            return _masked(before), _changed(after)
        return self.value(before), self.value(after)

    def operation(self, operation: PatchOperation) -> PatchOperation:
        """An operation of a patch, as it may be shown."""
        names = operation.path
        last = names[-1] if names else ""
        by_name = any(map(masking.is_secret, names))
        if by_name or self._is_whole_secret(last, operation):
            return replace(
                operation,
                value=_changed(operation.value),
                before=_masked(operation.before),
            )
        return replace(
            operation,
            value=self.value(operation.value),
            before=self.value(operation.before),
        )

    def _is_whole_secret(self, name: str, operation: PatchOperation) -> bool:
        plain = (operation.value, operation.before)
        scalars = (v for v in plain if not isinstance(v, (dict, list)))
        return self.is_secret(name, *scalars)


def of_bodies(
    bodies: Iterable[tuple[Mapping[str, Json], Template | None]],
) -> frozenset[str]:
    """The secrets of bodies, each with its template."""
    return frozenset(
        text
        for body, template in bodies
        for text in confidential.of_body(body, template)
    )


def of_jobs(
    jobs: Iterable[tuple[Job, Template | None, StackRequest | None]],
) -> frozenset[str]:
    """The secrets of jobs, each with its template and, where it is known, what Heat is asked."""
    return frozenset(text for job in jobs for text in confidential.of_job(*job))


def _masked(value: Json) -> Json:
    return value if value in (None, "") else MASK


def _changed(value: Json) -> Json:
    return value if value in (None, "") else CHANGED
