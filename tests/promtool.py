"""promtool, which checks what is made for Prometheus: from PATH, or where ``.ci/promtool`` put it.

It is part of Debian's package ``prometheus``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def promtool(*arguments: str | Path, given: str = "") -> str:
    """What promtool prints. The test fails when promtool finds a fault.

    :param given: its standard input.
    """
    here = Path(sys.executable).parent
    program = shutil.which("promtool", path=f"{here}:{os.environ.get('PATH', '')}")
    if program is None:
        if "CI" in os.environ and os.environ.get("PROMTOOL") != "none":
            pytest.fail("promtool is not there; .ci/promtool gets it")
        pytest.skip("promtool is not there; .ci/promtool gets it, or: apt install prometheus")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
