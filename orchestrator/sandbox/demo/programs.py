"""Programs that the demo starts or asks: where they are, and what they answer."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.sandbox import servers


def celery(*arguments: str) -> tuple[str, ...]:
    """The command of a Celery program of ours."""
    return (sys.executable, "-m", "celery", "-A", "tasks", *arguments)


def script(name: str, module: str) -> str:
    """The console script beside this Python; it need not be on PATH."""
    script = Path(sys.executable).with_name(name)
    if not script.exists():
        raise servers.MissingServer(
            f"There is no {script}: install the project into this environment (pip"
            " install -e '.[sandbox]')."
        )
    return str(script)


@contextlib.contextmanager
def loopback_without_proxy() -> Iterator[None]:
    """Let no library ask a proxy for 127.0.0.1, in this process and its children."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    excepted = [
        entry
        for entry in (before["no_proxy"] or before["NO_PROXY"] or "").split(",")
        if entry
    ]
    for name in before:
        os.environ[name] = ",".join(
            dict.fromkeys([*excepted, "127.0.0.1", "localhost"])
        )
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def get(url: str) -> Any:
    """The document that a server answers."""
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def answers(url: str) -> bool:
    """Whether a server answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError:
        return False


def redis_version(program: str) -> str:
    """`7.0.15`, from `Redis server v=7.0.15 sha=…`."""
    said = subprocess.run(
        [program, "--version"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    ).stdout
    return next(
        (word[2:] for word in said.split() if word.startswith("v=")), ""
    )
