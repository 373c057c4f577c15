"""From decisions and outcomes to transactions: the only place that says which keys change together.

Each function names, in its ``requires``, what the writes rely on; docs/design.md lists them.

``decided``, ``running`` and ``leading`` are the bridge's, ``working`` and ``ending`` the workers';
``bounds`` keeps records small enough, ``comparisons`` are what several transactions rely on.
"""

from .bounds import LARGEST_OUTPUTS, within_bounds
from .decided import clean, hold, refuse, report, start
from .ending import JobOutcome, end_job, end_stack, fail_try, not_built
from .leading import (
    drop_candidates,
    drop_revisions,
    end_reload,
    hold_deletions,
    keep_revision,
    lead_for,
    move_rollout,
    refuse_identity,
    release_deletions,
    store_durations,
    store_schemas,
    tell_trouble,
)
from .running import (
    abandon,
    fail_dependents,
    give_time_up,
    never_sent,
    note_death,
    overtake,
    remove_runs,
)
from .working import (
    Basis,
    claim,
    mark_ended,
    move,
    poll_failed,
    poll_goes_on,
    poll_is_over,
)

__all__ = [
    "LARGEST_OUTPUTS",
    "Basis",
    "JobOutcome",
    "abandon",
    "claim",
    "clean",
    "drop_candidates",
    "drop_revisions",
    "end_job",
    "end_reload",
    "end_stack",
    "fail_dependents",
    "fail_try",
    "give_time_up",
    "hold",
    "hold_deletions",
    "keep_revision",
    "lead_for",
    "mark_ended",
    "move",
    "move_rollout",
    "never_sent",
    "not_built",
    "note_death",
    "overtake",
    "poll_failed",
    "poll_goes_on",
    "poll_is_over",
    "refuse",
    "refuse_identity",
    "release_deletions",
    "remove_runs",
    "report",
    "start",
    "store_durations",
    "store_schemas",
    "tell_trouble",
    "within_bounds",
]
