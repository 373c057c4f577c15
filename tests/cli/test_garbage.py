"""What the garbage collector does around a listing, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import gc, weakref
from orchestrator.garbage import few_collections

class Leaking:
    def __init__(self):
        self.itself = self

with few_collections():
    world = Leaking()
left = weakref.ref(world)
del world
gc.collect()
print(left() is not None)
with few_collections():
    print(left() is None, not gc.isenabled())
print(gc.isenabled())
"""


def test_what_one_listing_has_made_is_left_alone_until_the_next_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["True"] * 4
