"""What all tests share: a clean environment, and a marker for those that need servers.

``unit`` builds values and patches nothing; ``contract`` runs the same tests on the doubles of
:mod:`orchestrator.testing` and on real servers. A server that is not installed skips its tests at
home and fails them in CI (environment variable ``CI``).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

for name in list(os.environ):
    if name.startswith(("ORCHESTRATOR_", "OS_")):
        del os.environ[name]

settings.register_profile(
    "orchestrator", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("orchestrator")
