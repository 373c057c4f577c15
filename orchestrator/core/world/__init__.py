"""What the bridge knows: everything that decisions are made from, kept in memory with its indexes.

A :class:`World` only remembers; :mod:`..planning` decides. It takes in :mod:`..facts`, first those
of one listing of etcd and then those of the watch, and the effects of our own decisions.

``values`` are small values of records, ``contents`` the containers and indexes, ``answers`` the
questions about them, ``world`` what changes them.
"""

from .values import Lagging, Pin, Reported, Seen, Stack
from .world import World

__all__ = ["Lagging", "Pin", "Reported", "Seen", "Stack", "World"]
