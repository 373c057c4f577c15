"""Outcomes no larger than records can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ..refs import Json
from ..texts import LONGEST_REASON, cut
from .ending import JobOutcome

LARGEST_OUTPUTS = 512 * 1024
"""Characters of a stack's outputs, as JSON, that are stored.
The first half of an end holds them twice and the second with every quote escaped, and etcd takes
requests of 1.5 MiB."""


_NAMED_OUTPUTS = 5


def within_bounds(ended: JobOutcome, most: int = LARGEST_OUTPUTS) -> JobOutcome:
    """The same, no larger than records can be: texts cut, and the largest outputs left out until
    the others fit.

    A stack without all of its outputs counts as failed: whoever needs a missing one is not built
    with nothing in its place.

    :param most: characters of all outputs as JSON.
    """
    outputs, left_out = _fitting(ended.outputs, most)
    error = ended.error
    if left_out:
        earlier = ""
        if error:
            earlier = cut(f"{error}; ", LONGEST_REASON // 2)
        error = earlier + _too_large(left_out)
    return replace(
        ended, outputs=outputs, reason=cut(ended.reason), error=cut(error)
    )


def _too_large(left_out: Sequence[tuple[str, int]]) -> str:
    """What is said of outputs that were left out, each as name and size."""
    names = ", ".join(
        f"{cut(name, 100)} ({size:,} characters)"
        for name, size in left_out[:_NAMED_OUTPUTS]
    )
    if len(left_out) > _NAMED_OUTPUTS:
        names = f"{names} and {len(left_out) - _NAMED_OUTPUTS} more"
    return (
        "the stack's outputs cannot be stored, because they are too large; left"
        f" out: {names}; make them smaller in the template and write the"
        " config with the next version"
    )


def _fitting(
    outputs: Sequence[Json], most: int
) -> tuple[Sequence[Json], list[tuple[str, int]]]:
    """The outputs that fit, in their order, and of the others name and size, the largest first."""
    sizes = [len(json.dumps(output)) + len(", ") for output in outputs]
    total = sum(sizes)
    largest = sorted(range(len(outputs)), key=sizes.__getitem__, reverse=True)
    dropped: list[int] = []
    for position in largest:
        if total <= most:
            break
        dropped.append(position)
        total -= sizes[position]
    if not dropped:
        return outputs, []
    out = set(dropped)
    kept = tuple(
        output for position, output in enumerate(outputs) if position not in out
    )
    return kept, [
        (_output_name(outputs[position]), sizes[position])
        for position in dropped
    ]


def _output_name(output: Json) -> str:
    if not isinstance(output, dict):
        return "?"
    return str(output.get("output_key", "?"))
