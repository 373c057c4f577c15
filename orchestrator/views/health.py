"""Whether a bridge is well: a pure judgement of its signs of life.

A leader whose loop hangs, or whose watch is deaf, and any bridge that etcd does not answer or let
in, cannot do its work. A restart helps only when the loop hangs: a probe that restarts bridges
because etcd is away would only keep them away longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LOOP_SILENCE = 15.0
"""Seconds for which the leader's loop may be busy with one thing."""
WATCH_SILENCE = 30.0
"""Seconds for which the watch may be deaf; it is opened anew after 12
(clients.etcd.watch.DEAF_AFTER)."""
STANDBY_SILENCE = 10.0
"""Seconds for which etcd may leave a standby without an answer; it is asked every second."""


class Role(StrEnum):
    """What a bridge does."""

    STARTING = "starting"
    STANDBY = "standby"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Pulse:
    """The signs of life of one bridge, at one moment."""

    role: str
    """A :class:`Role`."""
    silence: float
    """Seconds since its loop came round, or since etcd answered a standby."""
    hangs_after: float
    """Seconds of silence after which only a restart helps."""
    watch_silence: float = 0.0
    """Seconds since the leader's watch showed a sign of life; 0 while there is none."""
    trouble: str = ""
    """Why etcd cannot be used; empty while it can."""

    @property
    def fault(self) -> str:
        """Why this bridge cannot do its work; empty when it can."""
        if self.trouble:
            return self.trouble
        if self.role == Role.STANDBY and self.silence > STANDBY_SILENCE:
            return f"etcd has not answered for {self.silence:.0f} s"
        if self.role != Role.LEADER:
            return ""
        if self.silence > LOOP_SILENCE:
            return self._loop_is_silent
        if self.watch_silence > WATCH_SILENCE:
            return f"the watch has been silent for {self.watch_silence:.0f} s"
        return ""

    @property
    def hangs(self) -> str:
        """Why only a restart helps; empty when none would."""
        if self.silence > self.hangs_after:
            return self._loop_is_silent
        return ""

    @property
    def _loop_is_silent(self) -> str:
        return f"the loop has not come round for {self.silence:.0f} s"
