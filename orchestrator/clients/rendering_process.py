"""The process in which templates are rendered, and its limits: ``python -m
orchestrator.clients.rendering_process``.

:mod:`.renderer` starts it, with a socket as its standard input, and asks it one thing after the
other. It reads nothing else, writes nothing else, and ends when the socket does, so at the latest
with the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import NoReturn

from orchestrator.core.jinja import line_of, render
from orchestrator.errors import TemplateError

CPU_LIMIT, CPU_PER_CHARACTER, MOST_CPU = 0.25, 5e-6, 1.0
"""Seconds of CPU for one template: so many, and some more for each character of its text, but no
more than the last. Compiling takes 3 µs a character at the most, and the slowest of the catalogue 3
ms in all (measured)."""
GRACE = 0.1
"""Seconds of CPU more, after which the process is ended if it could not be interrupted: within one
call Python handles no signals."""
MEMORY_LIMIT = 64 * 1024 * 1024
"""Bytes of memory for one template. One of 150 KB takes 43 MiB (measured), those of the catalogue 1
MiB at the most."""
KEPT_LIMIT = 8 * 1024 * 1024
"""Bytes that a process may keep from one template to the next, beside the 20 MiB with which it
begins. One that keeps more is replaced, so that every template has as much as the first one."""

RENDERED, REFUSED, TOO_LONG, TOO_MUCH = b"+", b"-", b"T", b"M"
"""The first byte of an answer says what the rest is: the rendered template, or an error's text."""

FIT, WORN = b".", b"w"
"""The second byte says whether the process is to be used again."""
_FITNESS = {True: WORN, False: FIT}
SPENT = struct.Struct("!f")
"""Then comes how many seconds of CPU it took."""

_HEADER = struct.Struct("!I")
"""Before each message: how many bytes it has."""
_CHUNK = 1024 * 1024
TAKES_TOO_MUCH = f"it takes more than {MEMORY_LIMIT // 1024**2} MiB to render"

_PEAK_UNIT = 1024
"""Bytes in which Linux counts the peak of memory."""
_OUT_OF_MEMORY_FIRST = Path("/proc/self/oom_score_adj")
_PAGES = Path("/proc/self/statm")


class OutOfTime(BaseException):
    """The time is over. No ``except Exception`` stops it."""


def main() -> None:
    """Answer until the socket is closed."""
    with socket.socket(fileno=sys.stdin.fileno()) as channel:
        size, peak = _size(), _peak()
        _set_limits(size)
        send(channel)  # Ready.
        while (question := receive(channel)) is not None:
            began = time.process_time()
            kind, text = _answer(question)
            worn = (
                size > 0
                and _peak() > peak + KEPT_LIMIT
                and _size() > size + KEPT_LIMIT
            )
            send(
                channel,
                kind,
                _FITNESS[worn],
                SPENT.pack(time.process_time() - began),
                text,
            )


# Limits -------------------------------------------------------------------------------------------


def _set_limits(size: int) -> None:
    """:param size: bytes that the process has to begin with, 0 where that is not known."""
    # Ctrl-C is for the worker: it closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _interrupt)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    # A dump would hold the variables.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if size:
        most = size + MEMORY_LIMIT + KEPT_LIMIT
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(OSError):
        _OUT_OF_MEMORY_FIRST.write_text("1000")


def _size() -> int:
    """Bytes of address space. 0 where that cannot be known, and so not limited: not on Linux."""
    try:
        return int(_PAGES.read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _peak() -> int:
    """Bytes of memory at the most so far, where :func:`_size` is known. It is quicker to be had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT


def _interrupt(*_: object) -> NoReturn:
    raise OutOfTime


def cpu_limit(text: str) -> float:
    """Seconds of CPU for a template with this text."""
    return min(CPU_LIMIT + CPU_PER_CHARACTER * len(text), MOST_CPU)


def _start_clock(seconds: float) -> None:
    """SIGPROF interrupts the interpreter. SIGVTALRM, a little later, ends the process.

    The first counts the kernel's time too, the second does not. So the second never comes first,
    however busy the machine is.
    """
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds + GRACE)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _stop_clock() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)


# Questions and answers ----------------------------------------------------------------------------


def _answer(question: bytes) -> tuple[bytes, bytes]:
    """The kind of the answer, and its text."""
    template_id, text = "", ""
    try:
        try:
            _start_clock(MOST_CPU)
            template_id, text, variables = json.loads(question)
            _start_clock(cpu_limit(text))
            return RENDERED, render(template_id, text, variables).encode(
                errors="surrogatepass"
            )
        finally:
            _stop_clock()
    except TemplateError as error:
        cause = error.__cause__
        if isinstance(cause, MemoryError):
            return TOO_MUCH, exhausted(
                template_id, TAKES_TOO_MUCH, line_of(cause, text)
            )
        return REFUSED, str(error).encode(errors="replace")
    except OutOfTime as error:
        return TOO_LONG, exhausted(
            template_id, takes_too_long(text), line_of(error, text)
        )
    except MemoryError:
        return TOO_MUCH, exhausted(template_id, TAKES_TOO_MUCH)


def takes_too_long(text: str) -> str:
    return f"it takes longer than {cpu_limit(text):.2g} s to render"


def exhausted(template_id: str, bound: str, line: int | None = None) -> bytes:
    """The error's text for a template that reached a limit."""
    place = f"template {template_id}"
    if line:
        place += f", line {line}"
    return f"{place}: {bound}".encode(errors="replace")


def send(channel: socket.socket, *parts: bytes) -> None:
    """Send a message."""
    channel.sendall(b"".join((_HEADER.pack(sum(map(len, parts))), *parts)))


def receive(channel: socket.socket) -> bytes | None:
    """The next message, None when the other side has closed the socket."""
    header = _read(channel, _HEADER.size)
    if header:
        return _read(channel, *_HEADER.unpack(header))
    return None


def _read(channel: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = channel.recv(min(size, _CHUNK))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main()
