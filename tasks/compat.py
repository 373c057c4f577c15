"""A worker survives the loss of Redis: a defect of Celery 5.7.0 and how it is kept away.

When Redis cannot be reached at the moment the connection breaks, and the worker holds a message it
has not acknowledged, 5.7.0's clean-up closes the channel twice. The first close fails while reading
what a pending BRPOP left behind, and the second restores messages through a transport that is gone:
AttributeError, and the worker exits. Here a pending read that fails no longer stops the close.
``tests/integration/test_faults.py`` kills Redis under a busy worker; when that passes without this
module, remove it.
"""

from __future__ import annotations

import contextlib
from typing import Any

from kombu.transport import redis


def install() -> None:
    """Make ``Channel.close`` finish even when the pending read fails. Safe to call twice."""
    original = redis.Channel.close
    if getattr(original, "finishes_without_redis", False):
        return

    def close(self: Any) -> None:
        if getattr(self, "_in_poll", None):
            with contextlib.suppress(Exception):  # whatever a dead connection raises: there is nothing to read
                self._brpop_read()
            self._in_poll = None
        original(self)

    close.finishes_without_redis = True  # type: ignore[attr-defined]
    redis.Channel.close = close
