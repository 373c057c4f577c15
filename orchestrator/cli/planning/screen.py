"""A plan for people: what happens, in which order, and what is different. It fits 80 columns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.text import Text

from ...core.forecast.explaining import TEMPLATE
from ...core.forecast.patches import PatchOperation
from ...core.forecast.plans import (
    Change,
    Estimate,
    Plan,
    RolloutForecast,
    What,
)
from ...core.forecast.requests import unified
from ...core.refs import Json
from ...core.templates import TEMPLATE_TYPE
from ...core.texts import clean
from ..output import BAD, BUSY, CALM, DOUBT, FAINT, GOOD, count, duration
from ..status_tables import VERB

WIDTH = 80
_MOST_LINES = 12
"""Lines of one list; -o json has all of it."""
_SIDES = 2
"""The first lines of a unified difference name the two sides."""
_MOST_FOLLOWERS = 4
_MOST_OUTDATED = 5
_INDENT = " " * 6
_DEEPER = " " * 8

_MARKS = {
    What.CREATE: ("+", GOOD),
    What.UPDATE: ("~", BUSY),
    What.REBUILD: ("~", CALM),
    What.REPLACE: ("-/+", BAD),
    What.MOVE: ("-/+", BAD),
    What.DELETE: ("-", BAD),
    What.NOTHING: ("", FAINT),
    What.HELD: ("!", DOUBT),
    What.REFUSED: ("x", BAD),
}
_COUNTED = {
    What.CREATE: "to create",
    What.UPDATE: "to update",
    What.REBUILD: "to rebuild",
    What.REPLACE: "to replace",
    What.MOVE: "to move",
    What.DELETE: "to delete",
    What.NOTHING: "without a request",
    What.HELD: "held",
    What.REFUSED: "refused",
}
_OPERATIONS = {"add": "+", "remove": "-", "replace": "~"}


def render(plan: Plan, changes: Sequence[Change]) -> list[Text]:
    """The lines of a plan.

    :param changes: those of it that are shown.
    """
    if not changes:
        idle = Text(f"Nothing to do, as of revision {plan.revision}.", GOOD)
        return [idle, *_rollouts(plan)]
    lines: list[Text] = []
    outdated = [change for change in changes if change.because == TEMPLATE]
    others = [change for change in changes if change.because != TEMPLATE]
    for wave, together in groupby(others, key=lambda change: change.wave):
        lines.append(_title(wave))
        for first, *alike in _folded(together):
            lines += [*_change(first), *_alike(alike)]
        lines.append(Text())
    if outdated:
        lines += [*_outdated(outdated, _take_in(others)), Text()]
    return [*lines, *_summary(plan, changes)]


def _title(wave: int) -> Text:
    return Text(f"Wave {wave}" if wave else "Heat is not asked", "bold")


def _folded(changes: Iterable[Change]) -> Iterable[list[Change]]:
    """The changes, with rebuilds that say the same together: a changed template often makes the
    same difference to all of its stacks."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        key = str(change.ref)
        if change.what in (What.REBUILD, What.NOTHING) and not change.body:
            told = change.to_json() | {"id": "", "version": None}
            key = json.dumps(told, sort_keys=True)
        found.setdefault(key, []).append(change)
    return found.values()


def _alike(changes: Sequence[Change]) -> Iterator[Text]:
    if changes:
        names = [str(change.ref) for change in changes]
        yield from _wrapped("the same", _some(names))


def _change(change: Change) -> Iterator[Text]:
    yield _headline(change)
    reason = change.what in (What.HELD, What.REFUSED)
    if reason or change.because != "config":
        yield from _wrapped("because", change.because)
    if not _is_new(change):
        yield from _operations(change.body)
    yield from _parameters(change)
    yield from _template(change.hot)
    yield from _followers(change)
    yield from _preview(change.heat)
    for sentence in change.unknown:
        yield from _wrapped("not known", sentence)


def _headline(change: Change) -> Text:
    """``  ~   update   port:p1                  v1 → v2``."""
    mark, style = _MARKS[change.what]
    word = change.what.value
    if change.what is What.NOTHING and change.body:
        word = "write"  # A template, or a type without stacks.
    if change.what.destroys:
        # It stands out where there are no colours, too.
        word = word.upper()
    versions = _versions(change)
    room = WIDTH - 15 - len(versions) - 2
    name = _short(clean(str(change.ref)), room)
    text = Text.assemble((f"  {mark:<3} {word:<8} {name:<{room}}  ", style))
    return text.append(versions, FAINT)


def _versions(change: Change) -> str:
    before, after = change.version_from, change.version_to
    if before is None:
        return f"new, v{after}" if after is not None else ""
    if after is None:
        return f"v{before}, removed"
    return f"v{before}" if before == after else f"v{before} → v{after}"


def _is_new(change: Change) -> bool:
    """Whether the whole config is new or gone: its parameters say more than its body."""
    return any(not operation.path for operation in change.body)


def _operations(operations: Sequence[PatchOperation]) -> Iterator[Text]:
    for operation in operations[:_MOST_LINES]:
        if _is_text(operation.before) and _is_text(operation.value):
            yield Text(f"{_INDENT}~ {clean(operation.pointer)}")
            yield from _difference(operation.before, operation.value)
            continue
        mark = _OPERATIONS.get(operation.op, "~")
        if operation.op == "add":
            told = _value(operation.value)
        elif operation.op == "remove":
            told = _value(operation.before)
        elif operation.before is None:
            told = _value(operation.value)
        else:
            told = _arrow(operation.before, operation.value)
        yield _line(f"{mark} {operation.pointer}", told)
    yield from _more(len(operations) - _MOST_LINES, "difference")


def _is_text(value: Json) -> bool:
    """Whether a value is better shown by lines."""
    return isinstance(value, str) and "\n" in value


def _difference(before: str, after: str) -> Iterator[Text]:
    """How a text of several lines changes, as of a template."""
    lines = unified(before, after).splitlines()[_SIDES:]
    yield from _lines(lines)


def _parameters(change: Change) -> Iterator[Text]:
    if not change.parameters:
        return
    yield Text(f"{_INDENT}parameters", FAINT)
    listed = list(change.parameters.items())
    for name, (before, after) in listed[:_MOST_LINES]:
        if before is None:
            yield _line(f"+ {name}", _value(after), _DEEPER)
        elif after is None:
            yield _line(f"- {name}", _value(before), _DEEPER)
        else:
            yield _line(f"~ {name}", _arrow(before, after), _DEEPER)
    yield from _more(len(listed) - _MOST_LINES, "parameter")


def _template(hot: str) -> Iterator[Text]:
    if not hot:
        return
    lines = hot.splitlines()[_SIDES:]
    added = sum(line.startswith("+") for line in lines)
    gone = sum(line.startswith("-") for line in lines)
    yield Text(f"{_INDENT}template  +{added} -{gone}", FAINT)
    if not gone and added == len(lines) - 1:
        return
    yield from _lines(lines)


def _lines(lines: Sequence[str]) -> Iterator[Text]:
    """The lines of a unified difference."""
    for line in lines[:_MOST_LINES]:
        style = {"+": GOOD, "-": BAD}.get(line[:1], FAINT)
        yield Text(_short(f"{_DEEPER}{clean(line)}", WIDTH), style)
    yield from _more(len(lines) - _MOST_LINES, "line")


def _followers(change: Change) -> Iterator[Text]:
    always = [str(then.ref) for then in change.then if then.if_ == "always"]
    output = [str(then.ref) for then in change.then if then.if_ == "output"]
    if always:
        yield from _wrapped("then", _some(always))
    if output:
        yield from _wrapped("if an output changes", f"updated: {_some(output)}")


def _preview(heat: Json) -> Iterator[Text]:
    """What Heat's own preview says."""
    for what, names in (heat or {}).items():
        told = names
        if isinstance(names, list):
            told = _some(names)
        yield from _wrapped(f"Heat's preview, {what}", told)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_FOLLOWERS
    told = ", ".join(names[:_MOST_FOLLOWERS])
    return f"{told} and {more} more" if more > 0 else told


def _take_in(others: Sequence[Change]) -> str:
    """The command that rebuilds the stacks which a plan leaves outdated."""
    pushed = [c.ref.id for c in others if c.ref.type == TEMPLATE_TYPE]
    if len(pushed) == 1:
        return f"orchestrator rebuild --template {pushed[0]}"
    return "orchestrator rebuild --outdated"


def _outdated(changes: Sequence[Change], take_in: str) -> Iterator[Text]:
    """Stacks that a changed template leaves as they are.

    :param take_in: the command that rebuilds them.
    """
    yield Text("Outdated (template): not rebuilt by themselves", "bold")
    listed = list(_folded(changes))
    for first, *alike in listed[:_MOST_OUTDATED]:
        yield from [*_change(first), *_alike(alike)]
    hidden = sum(map(len, listed[_MOST_OUTDATED:]))
    yield from _more(hidden, "stack")
    yield from _wrapped("to take it in", take_in)


def _more(number: int, what: str) -> Iterator[Text]:
    if number > 0:
        told = f"{_DEEPER}… {count(number, f'more {what}')}; -o json has all"
        yield Text(told, FAINT)


def _line(name: str, told: str, indent: str = _INDENT) -> Text:
    """``      ~ /cidr     "a" → "b"``, cut to the screen."""
    start = f"{indent}{_short(clean(name), 28):<20}  "
    return Text(start + _short(told, WIDTH - len(start)))


def _wrapped(name: str, told: str) -> Iterator[Text]:
    lines = textwrap.wrap(
        f"{name}  {clean(told)}",
        WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_DEEPER,
        break_on_hyphens=False,
    )
    for line in lines:
        yield Text(line, FAINT)


def _arrow(before: Json, after: Json) -> str:
    return f"{_short(_value(before), 24)} → {_value(after)}"


def _value(value: Json) -> str:
    return clean(json.dumps(value, ensure_ascii=False))


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"


def _summary(plan: Plan, changes: Sequence[Change]) -> Iterator[Text]:
    counted = ", ".join(
        f"{number} {_COUNTED[What(action)]}"
        for action, number in plan.summary.items()
    )
    waves = max(change.wave for change in plan.changes)
    asked = count(plan.requests, "request")
    order = f", in {count(waves, 'wave')}" if waves > 1 else ""
    yield from _sentence(f"Plan: {counted}. {asked} to Heat{order}.", "bold")
    if plan.requests:
        yield from _sentence(f"Estimate: {_estimate(plan.estimate)}.", FAINT)
    destroyed = [c for c in plan.changes if c.what.destroys]
    if destroyed:
        names = _some([str(change.ref) for change in destroyed])
        stacks = count(len(destroyed), "stack")
        yield from _sentence(f"Deletes {stacks}: {names}.", BAD)
    yield from _rollouts(plan)
    if hidden := len(plan.changes) - len(changes):
        told = f"{count(hidden, 'change')} of other resources not shown."
        yield Text(told, FAINT)
    yield Text(f"Revision {plan.revision}, digest {plan.digest[:16]}.", FAINT)


def _rollouts(plan: Plan) -> Iterator[Text]:
    for rollout in plan.rollouts:
        yield from _sentence(_rollout(rollout), DOUBT)


def _rollout(rollout: RolloutForecast) -> str:
    """What a roll-out that is under way does, or has yet to do."""
    told = f"Roll-out {rollout.id} of template {rollout.template}"
    left = count(rollout.left, "stack")
    if rollout.stops:
        return f"{told} stops: another revision is in force than it expects."
    if rollout.phase == "stopped":
        return f"{told} is stopped, with {left} to rebuild."
    if rollout.paused:
        return f"{told} is paused, with {left} to rebuild."
    if rollout.phase == "waiting":
        return f"{told} waits until a person promotes it."
    if rollout.phase == "canary":
        canaries = count(rollout.left, "canary", "canaries")
        return f"{told} rebuilds {canaries}, then waits until a person promotes it."
    return f"{told} rebuilds {left}."


def _estimate(found: Estimate) -> str:
    """How long a plan will take, and what that is based on."""
    missing = ", ".join(
        f"{kind} ({VERB[action]})" for kind, action in found.unknown
    )
    if found.seconds is None:
        return f"unknown: no job of these was measured: {missing}"
    # A clock in seconds would show less than one as none.
    time = duration(max(found.seconds, 1.0))
    told = f"about {time}, by {count(found.jobs, 'measured job')}"
    if missing:
        return f"at least {told}; no job was measured of {missing}"
    return told


def _sentence(told: str, style: str) -> Iterable[Text]:
    return (Text(line, style) for line in textwrap.wrap(told, WIDTH))
