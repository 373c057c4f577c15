"""Traces for OpenTelemetry: one trace for each version of a resource.

| module | content |
|---|---|
| :mod:`.identity` | the ids of a trace, derived from what everybody knows of a version |
| :mod:`.opening` | opens the tracer of a process, if traces are wanted |
| :mod:`.spans` | writes spans, and sends them to a collector |

Without ``ORCHESTRATOR_TRACES_ENDPOINT`` nothing of this is imported, and nothing is written.
"""
