"""The door to the processes in which templates are rendered.

A template is somebody else's program, and a thread that does not end cannot be ended. So each worker
has a process beside it that does nothing but render, with limits of time and memory
(:mod:`.rendering_process`). It is started once and kept. When a template reaches a limit, the process is
replaced.

A tenant whose template reached a limit is in quarantine for a while: its templates are rendered in a
second process, so that those of other tenants do not wait for them. A template that reaches a limit for
the same tenant again and again is postponed, so that it does not hold up those who work with the others.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from ..core.refs import Json
from ..errors import RendererUnavailable, RenderingPostponed, TemplateError
from .rendering_process import (
    FIT,
    REFUSED,
    RENDERED,
    TAKES_TOO_LONG,
    TOO_LONG,
    TOO_MUCH,
    exhausted,
    receive,
    send,
)

DEADLINE = 20.0
"""Seconds after which a process that has not answered is ended. It should have ended itself long before."""
QUARANTINE = 60.0
"""Seconds for which the templates of a tenant are rendered apart, after one of them reached a limit."""
STRIKES = 3
"""Times that a template may reach a limit for a tenant in a row. Then it is postponed as long as the quarantine lasts."""

COMMAND = (sys.executable, "-m", "orchestrator.clients.rendering_process")
_INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME")
"""What the process gets of our environment, which holds credentials."""
_TENANTS = 1_000
"""Tenants, and templates, that are remembered. One more, and all are forgotten."""
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


class Renderer:
    """Renders templates within limits. Any number of threads may use it."""

    def __init__(self, deadline: float = DEADLINE, command: Sequence[str] = COMMAND, strikes: float = STRIKES) -> None:
        """:param command: starts the process."""
        self._first = _Keeper(deadline, command)
        self._second = _Keeper(deadline, command)
        self._quarantined: dict[str, float] = {}
        """Tenants, and until when, by the monotonic clock."""
        self._allowed = strikes
        self._strikes: dict[tuple[str, int], int] = {}
        """How often a text (its hash) reached a limit for a tenant, without having been rendered since."""

    def start(self) -> None:
        """Start the process now, so that the first template need not wait for it.

        :raises RendererUnavailable: it cannot be started.
        """
        with self._first.lock:
            self._first.start()

    def render(self, template_id: str, text: str, variables: Mapping[str, Json], tenant: str) -> str:
        """The template's text with Jinja2 applied.

        :param tenant: for whom it is rendered.
        :raises TemplateError: it does not render, or reaches a limit: naming the template and the line.
        :raises RendererUnavailable: the process cannot be started or does not get to run, or the template is
            postponed.
        """
        question = json.dumps([template_id, text, variables]).encode()
        kind, answer = self._ask(question, template_id, text, tenant)
        if kind == RENDERED:
            return answer
        raise TemplateError(answer)

    def _ask(self, question: bytes, template_id: str, text: str, tenant: str) -> tuple[bytes, str]:
        case = (tenant, hash(text))
        with self._first.lock:
            if not self._is_quarantined(tenant):  # Asked here, for it may have changed while we waited.
                return self._note(case, self._first.ask(question, template_id))
        with self._second.lock:
            if self._strikes.get(case, 0) >= self._allowed and self._is_quarantined(tenant):
                raise RenderingPostponed(
                    f"template {template_id} reached the limits of rendering {self._allowed} times in a row for this "
                    "tenant: it is tried again later; push a better one"
                )
            return self._note(case, self._second.ask(question, template_id))

    def _note(self, case: tuple[str, int], answered: tuple[bytes, str]) -> tuple[bytes, str]:
        """Remember who reached a limit."""
        if answered[0] not in (TOO_LONG, TOO_MUCH):
            self._strikes.pop(case, None)
            return answered
        if len(self._quarantined) >= _TENANTS or len(self._strikes) >= _TENANTS:
            self._quarantined.clear()
            self._strikes.clear()
        self._quarantined[case[0]] = time.monotonic() + QUARANTINE
        self._strikes[case] = self._strikes.get(case, 0) + 1
        return answered

    def close(self) -> None:
        """End the processes."""
        for keeper in (self._first, self._second):
            with keeper.lock:
                keeper.close()

    def _is_quarantined(self, tenant: str) -> bool:
        return self._quarantined.get(tenant, 0.0) > time.monotonic()


@lru_cache(maxsize=1)
def shared() -> Renderer:
    """One for all of this program, for a command that ends soon."""
    renderer = Renderer(strikes=math.inf)
    atexit.register(renderer.close)
    return renderer


class _Keeper:
    """Keeps one process, and lets one thread at a time use it."""

    def __init__(self, deadline: float, command: Sequence[str]) -> None:
        self.lock = threading.Lock()
        """To be held by whoever calls the methods."""
        self._deadline, self._command = deadline, command
        self._process: _Process | None = None

    def start(self) -> None:
        """Start the process."""
        self._running()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def ask(self, question: bytes, template_id: str) -> tuple[bytes, str]:
        """The answer to a question: its kind and its text.

        A crash of a process that has rendered others before may be their fault: a fresh one is asked too.

        :raises RendererUnavailable: as for :meth:`Renderer.render`.
        """
        used = self._running().questions > 0
        kind, answer = self._ask(question, template_id)
        if used and kind == _CRASHED:
            kind, answer = self._ask(question, template_id)
        return (TOO_MUCH if kind == _CRASHED else kind), answer

    def _ask(self, question: bytes, template_id: str) -> tuple[bytes, str]:
        process, fit = self._running(), False
        try:
            kind, fit, answer = process.ask(question)
            return kind, answer
        except _Ended as ended:
            return ended.kind, exhausted(template_id, ended.what).decode()
        finally:
            if not fit:  # After any error too: a late answer would be taken for the next one.
                self.close()

    def _running(self) -> _Process:
        if self._process is None:
            self._process = _Process(self._deadline, self._command)
        return self._process


_CRASHED = b"C"
"""Beside the kinds of answers: the process crashed over the question."""


class _Ended(Exception):
    """The process ended instead of answering.

    :param kind: what it comes to.
    :param what: the template's fault, as :func:`.exhausted` goes on.
    """

    def __init__(self, kind: bytes, what: str) -> None:
        super().__init__(what)
        self.kind, self.what = kind, what


class _Process:
    """A process that renders, and our end of the socket to it."""

    def __init__(self, deadline: float, command: Sequence[str]) -> None:
        """:raises RendererUnavailable: it cannot be started."""
        self.questions = 0
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(deadline)
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # A traceback would quote the template and its variables.
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the worker.
            )
        except OSError as error:
            self._channel.close()
            raise RendererUnavailable(f"the process that renders templates cannot be started: {error}") from error
        finally:
            theirs.close()

    def ask(self, question: bytes) -> tuple[bytes, bool, str]:
        """The kind of the answer, whether the process is to be used again, and the text.

        :raises _Ended: the question ended the process.
        :raises RendererUnavailable: something else did, or it does not get to run.
        """
        if self.questions == 0 and self._receive() is None:
            code = self._process.wait()
            raise RendererUnavailable(
                f"the process that renders templates ended at once with exit code {code}: "
                "try `orchestrator templates check` as the worker's user"
            )
        self.questions += 1
        with contextlib.suppress(ConnectionError):
            send(self._channel, question)
        answer = self._receive()
        if answer is None:
            raise self._why_it_ended()
        kind, fit, text = answer[:1], answer[1:2], answer[2:]
        return kind, fit == FIT and kind in (RENDERED, REFUSED), text.decode(errors="surrogatepass")

    def _receive(self) -> bytes | None:
        try:
            return receive(self._channel)
        except ConnectionError:
            return None
        except TimeoutError:
            raise RendererUnavailable(
                "the process that renders templates does not answer, and took hardly any CPU time: "
                "the machine is overloaded, or the process is stopped"
            ) from None

    def _why_it_ended(self) -> Exception:
        code = self._process.wait()
        if code == -signal.SIGPROF:
            return _Ended(TOO_LONG, TAKES_TOO_LONG)
        if code > 0 or -code in _CRASHES:
            return _Ended(_CRASHED, f"rendering it crashes the process that does it (exit code {code})")
        return RendererUnavailable(f"the process that renders templates was ended by somebody (exit code {code})")

    def end(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    """The process finds the same modules as we do, and no secrets."""
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    return {"PYTHONPATH": path, **{name: os.environ[name] for name in _INHERITED if name in os.environ}}
