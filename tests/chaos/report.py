"""The result as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .run import ChaosResult

SHOWN = 25
"""Violations shown with their evidence; the folder has the rest."""


def table(result: ChaosResult) -> str:
    """Everything that is worth a number, and every violation."""
    return "\n".join(_lines(result))


def _lines(result: ChaosResult) -> Iterator[str]:
    options = result.options
    yield f"seed {options.seed}, {options.seconds:g} s of trouble, quiet {result.settled:.1f} s later, {result.took:.0f} s in all"
    processes = f"{options.bridges} bridges, {options.workers} workers"
    yield f"{processes}, {result.resources} resources at the end, {options.tenants} tenants"
    yield from _block("operations", result.operations)
    yield from _block("faults", result.faults)
    yield from _block("verbs", result.verbs)
    yield from _block("operations that Heat took", result.heat)
    yield from _block("requests to Heat", result.requests, total=False)
    yield from _block("numbers", result.numbers, total=False)
    yield f"violations: {len(result.violations)}"
    for violation in result.violations[:SHOWN]:
        yield f"  {violation}"
        yield from (f"      {line}" for line in violation.evidence)
    if len(result.violations) > SHOWN:
        yield f"  … and {len(result.violations) - SHOWN} more"
    if result.violations:
        yield f"logs, history and requests: {result.folder}"


def _block(title: str, counts: Mapping[str, float], total: bool = True) -> Iterator[str]:
    yield f"{title}: {sum(counts.values()):g}" if total else f"{title}:"
    yield from (f"  {name:<36} {count:>8g}" for name, count in counts.items())
