"""The door to etcd v3.

Calls go through the gRPC stubs that python3-etcd3 generates (the maintained fork of python-etcd3;
the original does not import on today's protobuf). Its client class is not used, for what it does
under faults: the watch iterator hangs for ever once the stream breaks, calls have no deadline, a
failed endpoint stays unusable for 300 s, and the authentication token is fetched once
(docs/decisions.md has the measurements).

==================  ==========================================================================
:mod:`.access`      how to reach etcd: endpoints, user, certificate files
:mod:`.failures`    gRPC's errors in our words
:mod:`.history`     whether etcd still has the history that this process has seen
:mod:`.connection`  one connection at a time, and which endpoint comes next
:mod:`.wire`        our values as etcd's messages, and back
:mod:`.store`       reads, writes and transactions
:mod:`.lease`       a lease and the thread that renews it
:mod:`.watch`       changes, without a gap
==================  ==========================================================================
"""

from .access import EtcdAccess
from .lease import EtcdLease
from .store import EtcdStore
from .watch import EtcdWatch

__all__ = ["EtcdAccess", "EtcdLease", "EtcdStore", "EtcdWatch"]
