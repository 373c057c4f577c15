"""What all tests share: a clean environment, and a marker for those that need servers.

``unit`` builds values and uses doubles; ``contract`` runs the same tests on the doubles of
:mod:`tests.doubles` and on real servers. A server that is not installed skips its tests at
home and fails them in CI (environment variable ``CI``).
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.ordering import place
from tests.properties import TIMES

for name in list(os.environ):
    if name.startswith(("ORCHESTRATOR_", "OS_")):
        del os.environ[name]

settings.register_profile(
    "orchestrator",
    max_examples=50 * TIMES,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("orchestrator")

# Thousands of tests are collected and stay: looking for garbage among them took a seventh of the time.
gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.path))


def pytest_runtest_teardown() -> None:
    """A command that a test calls in this process freezes all objects; the next one would unfreeze
    and collect them, a quarter of a second each time (``orchestrator.garbage``)."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that a test calls in this process sets up logging, and the next test reads logs."""
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    loggers = [one for one in known if isinstance(one, logging.Logger)]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        if logger.level != level:  # Setting it clears the caches of all loggers: 2 ms a test.
            logger.setLevel(level)
        logger.handlers[:] = handlers
