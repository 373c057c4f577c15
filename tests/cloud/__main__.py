"""Start the cloud and keep it until Ctrl-C: ``python -m tests.cloud [FOLDER]``."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from . import cloud


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="cloud-"))
    with cloud.running(folder) as started, contextlib.suppress(KeyboardInterrupt):
        started.project("demo")
        for name, value in started.environment().items():
            print(f"export {name}={value}")
        print(f"export OS_PROJECT_ID={started.projects['demo']}  # logs in {folder}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
