"""From decisions and outcomes to transactions: the only place that says which keys change together.

Each function names, in its ``requires``, what the writes rely on; docs/design.md lists them.

``decided``, ``running`` and ``leading`` are the bridge's, ``working`` and ``ending`` the workers',
``drifting`` is of both;
``bounds`` keeps records small enough, ``comparisons`` are what several transactions rely on.
"""

from .bounds import LARGEST_OUTPUTS, within_bounds
from .decided import adopt, clean, hold, leave, refuse, report, start
from .drifting import (
    DriftBasis,
    accept_drift,
    end_asked_sweep,
    end_sweep,
    forget_sweep,
    note_correction,
    note_drift,
)
from .ending import JobOutcome, end_job, end_stack, fail_try, not_built
from .leading import (
    drop_candidates,
    drop_revisions,
    end_pauses,
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
    answer,
    cancel,
    drop_untaken,
    fail_dependents,
    give_time_up,
    note_death,
    overtake,
    remember,
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
    "DriftBasis",
    "JobOutcome",
    "abandon",
    "accept_drift",
    "adopt",
    "answer",
    "cancel",
    "claim",
    "clean",
    "drop_candidates",
    "drop_revisions",
    "drop_untaken",
    "end_asked_sweep",
    "end_job",
    "end_pauses",
    "end_reload",
    "end_stack",
    "end_sweep",
    "fail_dependents",
    "fail_try",
    "forget_sweep",
    "give_time_up",
    "hold",
    "hold_deletions",
    "keep_revision",
    "lead_for",
    "leave",
    "mark_ended",
    "move",
    "move_rollout",
    "not_built",
    "note_correction",
    "note_death",
    "note_drift",
    "overtake",
    "poll_failed",
    "poll_goes_on",
    "poll_is_over",
    "refuse",
    "refuse_identity",
    "release_deletions",
    "remember",
    "remove_runs",
    "report",
    "start",
    "store_durations",
    "store_schemas",
    "tell_trouble",
    "within_bounds",
]
