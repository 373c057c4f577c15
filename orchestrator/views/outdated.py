"""Which stacks were built from something else than there is now.

The leader compares the same values (:mod:`orchestrator.core.planning.following`), and rebuilds the
stacks whose template wants it so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..core.mapping.evaluate import OutputOf
from ..core.planning import Changed
from ..core.policies import Follow
from ..core.records import (
    UNREADABLE,
    Built,
    Rollout,
    StackRecord,
    digests_of,
)
from ..core.refs import Json, Ref
from ..core.templates import TEMPLATE_TYPE
from .snapshot import Snapshot

_NO_OUTPUTS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class OutdatedStack:
    """What has changed that a stack was built from."""

    outputs: tuple[OutputOf, ...] = ()
    """The outputs of other stacks that have another value now."""
    template: str = ""
    """The id of the template, if that has another revision now; else empty."""
    circle: tuple[Ref, ...] = ()
    """The circle of outputs that does not settle, and because of which the stack is held."""
    kept: str = ""
    """Why the stack could not be rebuilt for these outputs; empty: nobody has tried."""

    @property
    def reason(self) -> str:
        """``outdated (output id of network:n1)``, ``outdated (template)``"""
        told = f"outdated ({', '.join(self._parts())})"
        if self.circle:
            way = " → ".join(map(str, self.circle))
            return f"{told}, held: outputs do not settle in the circle {way}"
        if self.kept:
            return f"{told}, could not be rebuilt: {self.kept}"
        return told

    def _parts(self) -> Iterator[str]:
        if self.template:
            yield "template"
        if self.outputs:
            more = len(self.outputs) - 1
            yield str(self.outputs[0]) + (f" and {more} more" if more else "")

    @property
    def causes(self) -> Iterator[str]:
        """What has changed, each in words."""
        if self.template:
            yield f"template {self.template}"
        yield from map(str, self.outputs)

    def to_json(self) -> dict[str, Json]:
        return {
            "template": self.template or None,
            "outputs": [
                {**output.ref.to_record(), "output_key": output.key}
                for output in self.outputs
            ],
            "circle": [ref.to_record() for ref in self.circle],
            "kept": self.kept or None,
        }


@dataclass(slots=True)
class Comparison:
    """Compares what stacks were built from with one snapshot."""

    snapshot: Snapshot
    looked: set[Ref]
    """The resources and templates whose records were used, to be filled."""
    _outputs: dict[Ref, Mapping[str, str]] = field(default_factory=dict)
    _rollouts: dict[str, Rollout | None] = field(default_factory=dict)

    def of(self, ref: Ref) -> OutdatedStack | None:
        """What has changed that a stack was built from, as far as that is known; None when nothing
        has.

        :param ref: a resource whose wanted version is built, with no job under way.
        """
        snapshot = self.snapshot
        built, handled = snapshot.built.get(ref), snapshot.handled.get(ref)
        if built is None or handled is None or built.job != handled.job:
            return None
        template = self._changed_template(built)
        outputs, circle = self._changed_outputs(ref, built)
        if not template and not outputs:
            return None
        kept = handled.kept if outputs else ""
        return OutdatedStack(outputs, template, circle, kept)

    def _changed_template(self, built: Built) -> str:
        """The template's id, if it has another revision now."""
        self.looked.add(Ref(TEMPLATE_TYPE, built.template))
        in_force = self.snapshot.revision_in_force(built.template)
        if not in_force or built.revision in ("", in_force):
            return ""
        if self._is_canary(built):
            return ""
        return built.template

    def _is_canary(self, built: Built) -> bool:
        """Whether the stack has a revision that a roll-out tries, and that is not in force yet."""
        rollout = self._rollout(built.template)
        if rollout is None or rollout.over:
            return False
        return built.revision == rollout.revision

    def _rollout(self, template_id: str) -> Rollout | None:
        """The last roll-out of a template, as far as it can be read."""
        if template_id not in self._rollouts:
            kv = self.snapshot.raw.get(self.snapshot.keys.rollout(template_id))
            self._rollouts[template_id] = None
            with suppress(*UNREADABLE):
                if kv is not None:
                    found = Rollout.from_json(kv.value)
                    self._rollouts[template_id] = found
        return self._rollouts[template_id]

    def _changed_outputs(
        self, ref: Ref, built: Built
    ) -> tuple[tuple[OutputOf, ...], tuple[Ref, ...]]:
        if built.follow is Follow.NEVER or not built.reads:
            return (), ()
        self.looked.update(output.ref for output in built.reads)
        outputs = tuple(built.changed(self._outputs_now))
        if not outputs:
            return (), ()
        found = Changed.of(
            ref, outputs, self.snapshot.handled, self._built_from
        )
        return outputs, found.circle if found.restless else ()

    def _built_from(self, ref: Ref) -> Built | None:
        self.looked.add(ref)
        return self.snapshot.built.get(ref)

    def _outputs_now(self, ref: Ref) -> Mapping[str, str]:
        """The digests of a stack's outputs. Those of a failed one are not the last word."""
        if ref not in self._outputs:
            self._outputs[ref] = self._read(ref)
        return self._outputs[ref]

    def _read(self, ref: Ref) -> Mapping[str, str]:
        keys, snapshot = self.snapshot.keys, self.snapshot
        stack = snapshot.stacks.get(ref)
        if stack is None or not stack.live or ref in snapshot.failed:
            return _NO_OUTPUTS
        kv = snapshot.raw[keys.below(keys.stacks, ref)]
        try:
            return digests_of(StackRecord.from_json(kv.value).outputs)
        except UNREADABLE:
            return _NO_OUTPUTS
