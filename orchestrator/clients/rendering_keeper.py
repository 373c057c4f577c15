"""One process that renders templates: started, asked, replaced when it is not fit any more.

:mod:`.rendering_process` is what runs in it. :mod:`.renderer` keeps two of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RendererUnavailable
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

_INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME")
"""What the process gets of our environment, which holds credentials."""
CRASHED = b"C"
"""A kind of answer that no process gives: it crashed over the question."""
_CRASHES = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A template to be rendered. *message* is what the process is sent."""

    message: bytes
    template_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
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
    def of(cls, message: bytes) -> Answer:
        """An answer as it comes."""
        kind, fit, rest = message[:1], message[1:2] == FIT, message[2:]
        (spent,) = SPENT.unpack(rest[: SPENT.size])
        text = rest[SPENT.size :].decode(errors="surrogatepass")
        return cls(kind, fit and kind in (RENDERED, REFUSED), spent, text)


class Keeper:
    """Keeps one process, and lets one thread at a time use it."""

    def __init__(self, deadline: float, command: Sequence[str]) -> None:
        self.lock = threading.Lock()
        """To be held by whoever calls the methods."""
        self._deadline, self._command = deadline, command
        self._process: Process | None = None

    def start(self) -> None:
        """Start the process."""
        self._running()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def ask(self, question: Question) -> Answer:
        """The answer to a question.

        A crash of a process that has rendered others before may be their fault: a fresh one is
        asked too.

        :raises RendererUnavailable: as for :meth:`Renderer.render`.
        """
        used = self._running().questions > 0
        answer = self._ask(question)
        if used and answer.kind == CRASHED:
            return self._ask(question)
        return answer

    def _ask(self, question: Question) -> Answer:
        process, fit = self._running(), False
        try:
            answer = process.ask(question)
            fit = answer.fit
            return answer
        finally:
            # After any error too: a late answer would be taken for the next one.
            if not fit:
                self._replace()

    def _replace(self) -> None:
        """Another process gets ready for the next question, which tells of what goes wrong."""
        self.close()
        with contextlib.suppress(RendererUnavailable):
            self._running()

    def _running(self) -> Process:
        if self._process is None:
            self._process = Process(self._deadline, self._command)
        return self._process


class Process:
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

    def ask(self, question: Question) -> Answer:
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
        if message is None:
            return self._why_it_ended(question)
        return Answer.of(message)

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

    def _why_it_ended(self, question: Question) -> Answer:
        code = self._process.wait()
        if code == -signal.SIGVTALRM:
            kind, what = TOO_LONG, takes_too_long(question.text)
        elif code > 0 or -code in _CRASHES:
            kind = CRASHED
            what = f"rendering it crashes the process that does it (exit code {code})"
        else:
            raise RendererUnavailable(
                "the process that renders templates was ended by somebody (exit code"
                f" {code})"
            )
        told = exhausted(question.template_id, what).decode()
        return Answer(kind, False, cpu_limit(question.text), told)

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
