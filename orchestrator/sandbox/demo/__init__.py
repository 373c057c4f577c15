"""The demo: everything the orchestrator is made of on this one machine, at its main job.

    python -m orchestrator.sandbox.demo            # until Ctrl-C python -m
    orchestrator.sandbox.demo --once     # check every record, tear down; exit code 0 if all is
    right

`run()` is that program.
`Demo` is what it stands on, for tests that want to break something in the middle:

    with Demo(folder) as demo:
        demo.apply(documents.service(demo.collector.url))
        demo.restart("worker", kill=True)
        demo.settle(timeout=60)
        assert not demo.problems()
"""

from .fleet import Demo
from .story import run

__all__ = ["Demo", "run"]
