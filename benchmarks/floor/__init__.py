"""The least that the same work costs: the same calls to Heat and etcd, without planning, records or fencing.

:mod:`.work` has the calls, :mod:`.app` makes a bare Celery chain of them, :mod:`.loop` does without
Celery, and :mod:`.sender` stands in for the bridge: it sends a chain for every config it sees.
"""
