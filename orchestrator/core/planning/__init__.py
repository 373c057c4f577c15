"""From what is wanted and what is recorded to what to do: one decision for one resource.

Decisions are made by level, not by event: :func:`decide` looks at the whole of what is known about
a resource, so a repeated, late or lost event changes nothing. A decision is a value. The bridge
performs it in one etcd transaction (:mod:`..effects`), and decides again when that fails.

The modules, in the order in which they ask each other:

- ``deciding``: which of the questions below applies to a config;
- ``deletions``: when a stack is deleted, and what has to go before it;
- ``following``: whether a stack is rebuilt because an output changed that it was built from;
- ``references``: what a config refers to, and why that keeps it from becoming a job;
- ``cycles``: references that lead back to where they began;
- ``starting``: the job of a config, and what is remembered of it;
- ``ordering``: which unfinished jobs a new job waits for, and which it supersedes;
- ``refusing``: the report that a version cannot become a job;
- ``recorded``: what our records say of the deployed stack;
- ``comparing``: whether a config asks for something else than what was handled;
- ``parameters``: the template and the parameters of a config;
- ``stopping``: whether it is held because its stack has drifted;
- ``failing``: which waiting jobs fail with a job that failed;
- ``decisions``: the values that all of them return.

No question raises. Each returns what it was asked for, a decision, or a :class:`Refusal`.
"""

from .deciding import decide, refuse
from .decisions import (
    SCHEMA_TYPE,
    Clean,
    Decision,
    First,
    Hold,
    LeftOutdated,
    Nothing,
    Postpone,
    Refusal,
    Refuse,
    Report,
    Start,
)
from .failing import Doom, Over, doomed_by, fails_with
from .following import Changed, follow_of

__all__ = [
    "SCHEMA_TYPE",
    "Changed",
    "Clean",
    "Decision",
    "Doom",
    "First",
    "Hold",
    "LeftOutdated",
    "Nothing",
    "Over",
    "Postpone",
    "Refusal",
    "Refuse",
    "Report",
    "Start",
    "decide",
    "doomed_by",
    "fails_with",
    "follow_of",
    "refuse",
]
