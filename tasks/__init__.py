"""The Celery tasks: ``celery -A tasks worker``.

``steps`` are the steps of a job as plain functions; ``together`` lets those of several jobs share
their calls of etcd; ``leaving`` frees the slot of what only waits, and ``polls`` tells of it;
``following`` keeps the monitoring records; ``context`` is what they work with; ``retries`` is the
policy for temporary failures; ``app`` makes the steps into tasks; ``celery`` is where Celery finds
the result.
"""
