"""An orchestrator: wanted configuration in etcd, OpenStack Heat stacks out, outcomes back in etcd.

The tour, in the order in which data flows:

* :mod:`orchestrator.core` decides. It is pure: values in, values out, no sockets, files or clock.
* :mod:`orchestrator.clients` are the doors, one module per outside system.
* :mod:`orchestrator.bridge` watches ``/config``, asks the core what follows, writes job records and
  sends each ready job as a Celery chain.
* ``tasks`` (the package next door) are the Celery tasks that talk to Heat and write the outcome.
* :mod:`orchestrator.settings` are all settings; :mod:`orchestrator.events` names what happens, for
  logs and for counters.
* :mod:`orchestrator.views` computes what is shown: where each resource stands, and why.
* :mod:`orchestrator.history` tells what happened to a resource, and keeps it in a database.
* :mod:`orchestrator.cli` is what a person types; :mod:`orchestrator.sandbox` starts real servers.

The words used everywhere are in ``docs/glossary.md``.
"""

__version__ = "0.1.0"
