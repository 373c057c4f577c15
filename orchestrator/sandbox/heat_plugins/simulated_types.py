"""Where Heat finds the simulated resource types and constraints; the work is done in
`orchestrator.sandbox.simulation`.

Heat asks every module of its plugin folders for these functions, after those of its built-in types:
the last answer for a name wins.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.sandbox.simulation import constraints, types


def resource_mapping() -> Mapping[str, type]:
    return types.simulated()


def constraint_mapping() -> Mapping[str, type]:
    return constraints.accepting()
