"""The door to the processes in which templates are rendered.

A template is somebody else's program, and a thread that does not end cannot be ended. So each
worker has a process beside it that does nothing but render, with limits of time and memory
(:mod:`.rendering_process`). It is started once and kept. When a template reaches a limit, the
process is replaced.

A tenant whose template reached a limit is in quarantine for a while: its templates are rendered in
a second process, so that those of other tenants do not wait for them. When it has spent its
allowance of time there, the rest is postponed: otherwise its templates would hold the worker's
slots.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
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
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..core.refs import Json
from ..errors import RendererUnavailable, RenderingPostponed, TemplateError
from .rendering_process import (
    FIT,
    REFUSED,
    RENDERED,
    SPENT,
    TOO_LONG,
    TOO_MUCH,
    cpu_limit,
    exhausted,
    receive,
    send,
    takes_too_long,
)

DEADLINE = 20.0
"""Seconds after which a process that has not answered is ended. It should have ended itself long
before."""
QUARANTINE = 60.0
"""Seconds for which the templates of a tenant are rendered apart, after one of them reached a
limit. It begins anew with each that does."""
ALLOWANCE = 1.0
"""Seconds of CPU that a tenant's templates which reach a limit may take in the time of a
quarantine. When they are spent, its templates are postponed, but those that rendered the last
time."""
QUEUE_TIME = 0.05
"""Seconds for which a template in quarantine waits for others, which is enough for some that are
quick. Then it is postponed: meanwhile it holds a worker's slot."""

COMMAND = (sys.executable, "-m", "orchestrator.clients.rendering_process")
_INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME")
"""What the process gets of our environment, which holds credentials."""
_REMEMBERED = 4_096
"""Tenants, in quarantine or not. One more, and all are forgotten."""
CRASHED = b"C"
"""A kind of answer that no process gives: it crashed over the question."""
_RANDOM = "random"
"""The one filter of Jinja2 that answers differently each time: what names it is not kept."""
_POSTPONED = (
    "template {} is postponed: templates of this tenant that reach a limit have taken"
    " too much time; correct them"
)
_CRASHES = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)


class _Quarantine:
    """Of one tenant. *rendered* are the texts (their hashes) that rendered the last time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = -math.inf
        self._spent = 0.0
        self.rendered: set[int] = set()

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self._at + self._seconds

    def spent(self) -> float:
        """Seconds of CPU. They are forgotten little by little."""
        passed = (time.monotonic() - self._at) / self._seconds
        return max(self._spent - ALLOWANCE * passed, 0.0)

    def begin(self, spent: float) -> None:
        """A template reached a limit, and took so many seconds of CPU."""
        self._spent = self.spent() + spent
        self._at = time.monotonic()


class _Rendered:
    """What was rendered lately.

    Most jobs of a type need the same text: their values are parameters.
    The questions may hold secrets, so only their digests are kept.
    """

    MOST = 256
    """Texts that are kept."""
    LONGEST = 32 * 1024
    """Characters of a text that is kept; all together stay below 8 MiB."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}
        self._lock = threading.Lock()

    def get(self, question: bytes) -> str | None:
        """The text, if it is known."""
        return self._texts.get(_digest(question))

    def keep(self, question: bytes, text: str) -> None:
        """Remember a text, and forget the oldest one when there are too many."""
        if len(text) > self.LONGEST:
            return
        with self._lock:
            self._texts[_digest(question)] = text
            if len(self._texts) > self.MOST:
                del self._texts[next(iter(self._texts))]


def _digest(question: bytes) -> bytes:
    return hashlib.blake2b(question, digest_size=16).digest()


class Renderer:
    """Renders templates within limits. Any number of threads may use it."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        deadline: float = DEADLINE,
        quarantine: float = QUARANTINE,
        allowance: float = ALLOWANCE,
    ) -> None:
        """:param command: starts the process."""
        self._first, self._second = (
            _Keeper(deadline, command),
            _Keeper(deadline, command),
        )
        self._time, self._allowance = quarantine, allowance
        self._quarantines: dict[str, _Quarantine] = {}
        self._rendered = _Rendered()

    def start(self) -> None:
        """Start the process now, so that the first template need not wait for it.

        :raises RendererUnavailable: it cannot be started.
        """
        with self._first.lock:
            self._first.start()

    def render(
        self,
        template_id: str,
        text: str,
        variables: Mapping[str, Json],
        tenant: str,
    ) -> str:
        """The template's text with Jinja2 applied.

        :param tenant: for whom it is rendered.
        :raises TemplateError: it does not render, or reaches a limit: naming the template and the
            line.
        :raises RendererUnavailable: the process cannot be started or does not get to run, or the
            template is postponed.
        """
        question = json.dumps([template_id, text, variables]).encode()
        known = self._rendered.get(question)
        if known is not None:
            return known
        answer = self._ask(_Question(question, template_id, text), tenant)
        if answer.kind != RENDERED:
            raise TemplateError(answer.text)
        if _RANDOM not in text:
            self._rendered.keep(question, answer.text)
        return answer.text

    def _ask(self, question: _Question, tenant: str) -> _Answer:
        with self._first.lock:
            quarantine = self._quarantine_of(tenant)
            if (
                not quarantine.lasts
            ):  # Asked here, for it may have begun while we waited.
                return self._noted(
                    self._first.ask(question), question, quarantine
                )
        if not self._second.lock.acquire(timeout=QUEUE_TIME):
            raise RenderingPostponed(
                f"template {question.template_id} is postponed: another one of this"
                " tenant takes long"
            )
        try:
            if (
                quarantine.spent() >= self._allowance
                and hash(question.text) not in quarantine.rendered
            ):
                raise RenderingPostponed(
                    _POSTPONED.format(question.template_id)
                )
            return self._noted(self._second.ask(question), question, quarantine)
        finally:
            self._second.lock.release()

    def _noted(
        self, answer: _Answer, question: _Question, quarantine: _Quarantine
    ) -> _Answer:
        text = hash(question.text)
        if answer.exhausted:
            quarantine.begin(answer.spent)
            quarantine.rendered.discard(text)
        elif quarantine.lasts:
            quarantine.rendered.add(text)
        return answer

    def _quarantine_of(self, tenant: str) -> _Quarantine:
        """The tenant's. One that is new has not begun."""
        found = self._quarantines.get(tenant)
        if found is None:
            if len(self._quarantines) >= _REMEMBERED:
                self._quarantines.clear()
            found = self._quarantines[tenant] = _Quarantine(self._time)
        return found

    def close(self) -> None:
        """End the processes."""
        for keeper in (self._first, self._second):
            with keeper.lock:
                keeper.close()


@lru_cache(maxsize=1)
def shared() -> Renderer:
    """One for all of this program, for a command that ends soon."""
    renderer = Renderer(allowance=math.inf)
    atexit.register(renderer.close)
    return renderer


@dataclass(frozen=True, slots=True)
class _Question:
    """A template to be rendered. *message* is what the process is sent."""

    message: bytes
    template_id: str
    text: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the process said. *fit*: whether it is to be used again; *spent*: seconds of CPU."""

    kind: bytes
    fit: bool
    spent: float
    text: str

    @property
    def exhausted(self) -> bool:
        """Whether the template reached a limit."""
        return self.kind in (TOO_LONG, TOO_MUCH, CRASHED)

    @classmethod
    def of(cls, message: bytes) -> _Answer:
        """An answer as it comes."""
        kind, fit, rest = message[:1], message[1:2] == FIT, message[2:]
        (spent,) = SPENT.unpack(rest[: SPENT.size])
        text = rest[SPENT.size :].decode(errors="surrogatepass")
        return cls(kind, fit and kind in (RENDERED, REFUSED), spent, text)


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

    def ask(self, question: _Question) -> _Answer:
        """The answer to a question.

        A crash of a process that has rendered others before may be their fault: a fresh one is
        asked too.

        :raises RendererUnavailable: as for :meth:`Renderer.render`.
        """
        used = self._running().questions > 0
        answer = self._ask(question)
        return (
            self._ask(question) if used and answer.kind == CRASHED else answer
        )

    def _ask(self, question: _Question) -> _Answer:
        process, fit = self._running(), False
        try:
            answer = process.ask(question)
            fit = answer.fit
            return answer
        finally:
            if not fit:  # After any error too: a late answer would be taken for the next one.
                self.close()
                with contextlib.suppress(
                    RendererUnavailable
                ):  # The next question tells.
                    self._running()  # It gets ready meanwhile.

    def _running(self) -> _Process:
        if self._process is None:
            self._process = _Process(self._deadline, self._command)
        return self._process


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
                # A traceback would quote the template and its variables.
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the worker.
            )
        except OSError as error:
            self._channel.close()
            raise RendererUnavailable(
                f"the process that renders templates cannot be started: {error}"
            ) from error
        finally:
            theirs.close()

    def ask(self, question: _Question) -> _Answer:
        """The answer, made up here if the question ended the process.

        :raises RendererUnavailable: something else ended it, or it does not get to run.
        """
        if self.questions == 0 and self._receive() is None:
            code = self._process.wait()
            raise RendererUnavailable(
                "the process that renders templates ended at once with exit code"
                f" {code}: try `orchestrator templates check` as the worker's user"
            )
        self.questions += 1
        with contextlib.suppress(ConnectionError):
            send(self._channel, question.message)
        message = self._receive()
        return (
            self._why_it_ended(question)
            if message is None
            else _Answer.of(message)
        )

    def _receive(self) -> bytes | None:
        try:
            return receive(self._channel)
        except ConnectionError:
            return None
        except TimeoutError:
            raise RendererUnavailable(
                "the process that renders templates does not answer, and took hardly"
                " any CPU time: the machine is overloaded, or the process is stopped"
            ) from None

    def _why_it_ended(self, question: _Question) -> _Answer:
        code = self._process.wait()
        if code == -signal.SIGVTALRM:
            kind, what = TOO_LONG, takes_too_long(question.text)
        elif code > 0 or -code in _CRASHES:
            kind, what = (
                CRASHED,
                f"rendering it crashes the process that does it (exit code {code})",
            )
        else:
            raise RendererUnavailable(
                "the process that renders templates was ended by somebody (exit code"
                f" {code})"
            )
        return _Answer(
            kind,
            False,
            cpu_limit(question.text),
            exhausted(question.template_id, what).decode(),
        )

    def end(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    """The process finds the same modules as we do, and no secrets."""
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    return {
        "PYTHONPATH": path,
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
    }
