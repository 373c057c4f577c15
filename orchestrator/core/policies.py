"""What a template says besides parameters: the reserved mappings (CONTRACT section 4).

A mapping whose name begins with ``heat_`` feeds neither the template nor the stack.
It says how the orchestrator treats the stack. A new one is a name in :data:`RESERVED`, a field of
:class:`Policies` and a reader in :data:`_READERS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from ..errors import InvalidInput
from .documents import members, parse_json
from .refs import Json

PREFIX = "heat_"
"""How the names of reserved mappings begin. Names that are not in :data:`RESERVED` are for later
releases."""
TIMEOUT = "heat_timeout"
ON_FAILURE = "heat_on_failure"
RETRIES = "heat_retries"
REBUILD = "heat_rebuild"
DRIFT = "heat_drift"
DRIFT_IGNORE = "heat_drift_ignore"
RESERVED = (
    TIMEOUT,
    ON_FAILURE,
    RETRIES,
    REBUILD,
    DRIFT,
    DRIFT_IGNORE,
)

LONGEST_TIMEOUT = 24 * 60
"""Minutes. Heat itself takes more, an operator waiting for it does not."""
MOST_RETRIES = 20
"""With growing delays, the twentieth comes after more than two hours."""


class OnFailure(StrEnum):
    """What a job does with a stack that it finds in a failed state (docs/stack-states.md)."""

    REPAIR = "repair"
    """Update it: Heat repairs what failed."""
    REPLACE = "replace"
    """Delete it and create it anew, unless other stacks stand on it that are not rebuilt after
    it."""
    HOLD = "hold"
    """Leave it as it is until an operator asks for another try."""


class Follow(StrEnum):
    """What happens to a stack when an output of another one changes that it was built from."""

    AUTO = "auto"
    """It is updated, at the same version."""
    REPORT = "report"
    """It stays as it is, and is shown as outdated."""
    NEVER = "never"
    """It stays as it is, and is not shown as outdated."""


class OnDrift(StrEnum):
    """What follows when Heat has a stack otherwise than it was built (docs/howto/drift.md)."""

    REPORT = "report"
    """It is told, and a person decides."""
    CORRECT = "correct"
    """The version that is there is built again."""
    STOP = "stop"
    """It is told, and later versions are held until a person decides."""


@dataclass(frozen=True, slots=True)
class Policies:
    """What the reserved mappings of a template say of one resource."""

    timeout_mins: int | None = None
    """Minutes that Heat has for an operation; None: Heat's own default."""
    on_failure: OnFailure = OnFailure.REPAIR
    retries: int = 0
    """How often a job asks again after Heat has failed its stack, before the version is
    reported as failed."""
    follow: Follow | None = None
    """Whether the stack follows the outputs of others; None: as the setting says."""
    drift: OnDrift = OnDrift.REPORT
    drift_ignore: tuple[str, ...] = ()
    """Names of parameters, outputs, resources inside the stack, or ``resource.property``, that may
    be otherwise."""


DEFAULTS = Policies()


def read(values: Mapping[str, Json]) -> Policies:
    """The policies that the values of some mappings come to. Other names are left alone.

    :param values: by name; null and "" stand for the default, as if the mapping were not there.
    :raises InvalidInput: a value cannot be used; it names the mapping and what is expected.
    """
    for name in RESERVED:
        if told := fault(name, values.get(name)):
            raise InvalidInput(told)
    return lenient(values)


def lenient(values: Mapping[str, Json]) -> Policies:
    """The same, with the default for what cannot be used: no job with it comes to Heat."""
    return Policies(
        _minutes(values.get(TIMEOUT)),
        _on_failure(values.get(ON_FAILURE)) or DEFAULTS.on_failure,
        _number(values.get(RETRIES)) or DEFAULTS.retries,
        _follow(values.get(REBUILD)),
        _on_drift(values.get(DRIFT)) or DEFAULTS.drift,
        _names(values.get(DRIFT_IGNORE)) or DEFAULTS.drift_ignore,
    )


def fault(name: str, value: Json) -> str:
    """Why the value of a reserved mapping cannot be used; empty when it can, or is the default's
    (null or "")."""
    if value is None or value == "" or _READERS[name](value) is not None:
        return ""
    return f"{name} should be {_EXPECTED[name]}"


def _minutes(value: Json) -> int | None:
    return _whole(value, range(1, LONGEST_TIMEOUT + 1))


def _number(value: Json) -> int | None:
    return _whole(value, range(MOST_RETRIES + 1))


def _whole(value: Json, allowed: Collection[int]) -> int | None:
    """A whole number, also as the text that a short constant gives; None when it is none of those
    allowed."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    with suppress(TypeError, ValueError, OverflowError):
        number = int(value)
        if number in allowed:
            return number
    return None


def _on_failure(value: Json) -> OnFailure | None:
    if isinstance(value, str):
        with suppress(ValueError):
            return OnFailure(value)
    return None


def _follow(value: Json) -> Follow | None:
    if isinstance(value, str):
        with suppress(ValueError):
            return Follow(value)
    return None


def _on_drift(value: Json) -> OnDrift | None:
    if isinstance(value, str):
        with suppress(ValueError):
            return OnDrift(value)
    return None


def _names(value: Json) -> tuple[str, ...] | None:
    """A list of names, or a text with commas between them."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return None
    if not all(isinstance(name, str) and name.strip() for name in value):
        return None
    return tuple(name.strip() for name in value)


_READERS: Mapping[str, Callable[[Json], object | None]] = {
    TIMEOUT: _minutes,
    ON_FAILURE: _on_failure,
    RETRIES: _number,
    REBUILD: _follow,
    DRIFT: _on_drift,
    DRIFT_IGNORE: _names,
}
"""By name, what makes a value of JSON the value of the policy; None: it cannot be used."""

_EXPECTED = {
    TIMEOUT: f"whole minutes from 1 to {LONGEST_TIMEOUT}",
    ON_FAILURE: f"one of {', '.join(OnFailure)}",
    RETRIES: f"a whole number from 0 to {MOST_RETRIES}",
    REBUILD: f"one of {', '.join(Follow)}",
    DRIFT: f"one of {', '.join(OnDrift)}",
    DRIFT_IGNORE: "names with commas between them",
}


# What a template must not declare -----------------------------------------------------------------

_SECTION = re.compile(r"""["']?(\w+)["']?\s*:""")
"""A section of HOT, at the beginning of a line."""
_ENTRY = re.compile(r"""(\s+)["']?(\w+)["']?\s*:""")
"""An entry of a section, in a line of its own."""


def declared(text: str) -> dict[str, int]:
    """The reserved names that a template's text declares as parameters, each with its line.

    With Jinja2 in it the text need not be YAML, so its lines are read. Names that only a rendered
    template has are found by ``orchestrator templates check``.
    """
    if not any(name in text for name in RESERVED):
        return {}  # Nearly always.
    found = dict(_declared_in_json(text)) or dict(_declared(text))
    return {name: found[name] for name in RESERVED if name in found}


def declares(names: Iterable[str]) -> str:
    """The sentence about parameters of reserved names."""
    listed = ", ".join(names)
    return (
        f"the HOT declares the parameter {listed}, but names that begin with {PREFIX}"
        " are reserved and their values do not reach the stack; give the parameter"
        " another name"
    )


def _declared_in_json(text: str) -> Iterator[tuple[str, int]]:
    with suppress(ValueError, RecursionError):
        for name in members(members(parse_json(text)).get("parameters")):
            yield name, text[: text.index(name)].count("\n") + 1


def _declared(text: str) -> Iterator[tuple[str, int]]:
    """The entries of the section ``parameters``, by their indentation."""
    inside, indentation = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        if section := _SECTION.match(line):
            inside, indentation = section[1] == "parameters", ""
        elif inside and (entry := _ENTRY.match(line)):
            indentation = indentation or entry[1]
            if entry[1] == indentation:
                yield entry[2], number
