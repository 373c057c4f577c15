"""The garbage collector, where a million objects are made that all stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_collections() -> Iterator[None]:
    """What is made in here stays: the garbage collector would go through it again and again while
    it is made, and whenever it goes through everything later. So it leaves it alone until this is
    called again.

    Reading fifty thousand resources takes 1.6 s so, instead of 2.7 s.
    """
    if gc.get_freeze_count():
        # What was made under this before is garbage by now.
        # A process that has just started has none, and looking for it takes 60 ms of CPU time.
        gc.unfreeze()
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
