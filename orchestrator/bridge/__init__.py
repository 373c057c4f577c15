"""The bridge: from changes below ``/config`` to jobs, and from the end of a job to its dependents.

``service`` runs for ever: stand by, lead (``leader``), and while leading one ``term``: ``loading``
lists etcd into a world, then events and timers are dealt with one after the other in one thread:
``reconciling`` performs the core's decisions (``batching``: several at a time), ``dispatching``
sends what is ready and sees to it that nothing sent gets lost, ``rounds`` says whose monitoring
targets are due.
Beside the term, ``schemas`` decides which schema list is in force (``using``: what etcd holds
resources of).
The bridge imports no task and never talks to Heat.
"""
