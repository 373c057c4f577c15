"""Doubles of the outside systems, for tests without a server.

Each has the methods of the door that it stands for and keeps everything in memory.
``tests/contract`` runs the same tests on the doubles and on the real servers.

=========================  =====================================================
:class:`MemoryStore`       :class:`orchestrator.clients.etcd.EtcdStore`
:class:`MemoryHeat`        :class:`orchestrator.clients.heat.Heat`
:class:`RecordingQueue`    :class:`orchestrator.clients.queue.Queue`
:class:`FixedTargets`      :class:`orchestrator.clients.targets.Targets`
:class:`PlainRenderer`     :class:`orchestrator.clients.renderer.Renderer`
:class:`ManualClock`       :class:`orchestrator.clock.Clock`
:class:`SteppedInbox`      :class:`orchestrator.clients.inbox.WatchInbox`
=========================  =====================================================

Time passes only when a test says so: leases end by :meth:`MemoryStore.expire`, stacks are done by
:meth:`MemoryHeat.finish`. All of them may be used from several threads.
"""

from .clock import ManualClock
from .heat import HeatRequest, MemoryHeat
from .inbox import SteppedInbox
from .queue import Message, RecordingQueue
from .renderer import PlainRenderer
from .store import MemoryLease, MemoryStore, MemoryWatch
from .targets import FixedTargets

__all__ = [
    "FixedTargets",
    "HeatRequest",
    "ManualClock",
    "MemoryHeat",
    "MemoryLease",
    "MemoryStore",
    "MemoryWatch",
    "Message",
    "PlainRenderer",
    "RecordingQueue",
    "SteppedInbox",
]
