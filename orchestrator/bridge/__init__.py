"""The bridge: from changes below ``/config`` to jobs, and from the end of a job to its dependents.

``service`` runs for ever (``leading``): stand by, lead (``leader``), and in between one ``term``.
``loading`` lists etcd into a world.
Then the term deals with events and timers, one after the other in one thread:

* ``reconciling`` performs the core's decisions (``batching``: several at a time);
* ``running`` follows the runs of jobs, and ``outcomes`` says what follows from the end of one;
* ``requests`` carries out what operators ask for;
* ``probing`` has monitoring targets probed (``rounds`` says which are due);
* ``dispatching`` sends what is ready and sees to it that nothing sent gets lost.

Beside the term, ``schemas`` decides which schema list is in force (``using``: what etcd holds
resources of).
Time and chance are values (:mod:`orchestrator.clock`): no module reads a clock by itself.
The bridge imports no task and never talks to Heat.
"""
