"""The doors: one module per outside system, and nobody else speaks to it.

``etcd`` (with the interface in ``store``), ``heat`` (Keystone too), ``queue`` (the broker, as seen
by the bridge), ``targets`` (monitoring collectors), ``catalogue`` and ``schema_list`` (files and
the API server's schema list; ``types`` knows which list is in force, by etcd).
Foreign errors are renamed on the way in (:mod:`orchestrator.errors`).
"""
