"""The Celery tasks: ``celery -A tasks worker``.

``steps`` are the steps of a job as plain functions; ``context`` is what they work with; ``retries``
is the policy for temporary failures; ``app`` makes the steps into tasks; ``celery`` is where Celery
finds the result.
"""
