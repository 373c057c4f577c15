"""The chaos run: ``python -m tests.chaos --seconds 60 --seed 1``.

Real etcd, Redis, bridges and workers, a scripted Heat; a generator that plays the API server, a fault
injector, and a checker that knows nothing but what etcd and Heat saw. docs/reliability.md has the results.
"""
