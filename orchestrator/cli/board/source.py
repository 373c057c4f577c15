"""Where the application gets its pictures from: a snapshot that a watch keeps up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...core.refs import Ref
from ...views.following import SnapshotFollower
from ...views.listing import ListChoice, chosen
from ...views.overview import Overview, overview
from ...views.resource import (
    RecordView,
    ResourceView,
    Templates,
    records,
    resource,
)
from ...views.standings import Progress
from ...views.times import Moment

SHORT = 0.2
"""Seconds for which one wait keeps others from the snapshot."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is shown at one moment."""

    overview: Overview
    listed: Sequence[ResourceView]
    now: float
    """Seconds since the epoch."""


class PictureSource(Protocol):
    """Gives pictures. Its methods are called in threads."""

    def picture(self) -> Picture:
        """As it is now."""

    def wait(self, seconds: float) -> bool:
        """Wait for a change; whether there was one.

        :raises StoreUnavailable: etcd does not answer.
        """

    def one(self, ref: Ref) -> tuple[ResourceView, Sequence[RecordView]]:
        """One resource with all its records.

        :raises InvalidInput: nothing is known of it any more.
        """


class FollowedSource:
    """Pictures of what a follower has."""

    def __init__(
        self, follower: SnapshotFollower, limits: Moment, templates: Templates
    ) -> None:
        """
        :param limits: how long jobs may take.
        :param templates: the catalogue's: they say which parameters are secret.
        """
        self._follower, self._limits = follower, limits
        self._templates = templates
        self._lock = threading.Lock()

    def picture(self) -> Picture:
        moment = self._limits.at(time.time())
        with self._lock:
            snapshot = self._follower.snapshot
            listed = chosen(snapshot, ListChoice(), moment)
            return Picture(overview(snapshot, moment), listed, moment.now)

    def wait(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with self._lock:
                changed = self._follower.next(min(left, SHORT))
            if changed:
                return True
        return False

    def one(self, ref: Ref) -> tuple[ResourceView, Sequence[RecordView]]:
        moment = self._limits.at(time.time())
        with self._lock:
            snapshot = self._follower.snapshot
            found = records(snapshot, ref, self._templates)
            progress = Progress(snapshot, moment)
            return resource(snapshot, progress, ref), found
