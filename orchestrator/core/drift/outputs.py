"""The outputs of a stack, against those that its last job recorded (depth 4)."""

from __future__ import annotations

from collections.abc import Mapping

from ..documents import canonical
from ..records import Deviation, DriftKind, StackRecord
from ..refs import Json
from ..rendering import output_error
from .inspected import Examined, Inspection, Skipped


def compare_outputs(record: StackRecord, shown: Inspection) -> Examined:
    """What differs of the outputs. One that Heat cannot compute is not compared."""
    recorded, live = _by_key(record.outputs), _by_key(shown.outputs or ())
    deviations: list[Deviation] = []
    skipped: list[Skipped] = []
    for key in dict.fromkeys([*recorded, *live]):
        before, now = recorded.get(key), live.get(key)
        if output_error(before) or output_error(now):
            skipped.append(Skipped("outputs that Heat cannot compute", key))
        elif _value(before) != _value(now):
            says = f"output {key} has another value than is recorded"
            deviations.append(Deviation(DriftKind.OUTPUT, key, says))
    return Examined(tuple(deviations), tuple(skipped))


def _by_key(outputs: Json) -> dict[str, Mapping[str, Json]]:
    return {
        str(one.get("output_key")): one
        for one in outputs
        if isinstance(one, Mapping)
    }


def _value(output: Mapping[str, Json] | None) -> str:
    if output is None:
        return "none"
    return canonical(output.get("output_value"))
