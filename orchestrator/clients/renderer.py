"""The door to the processes in which templates are rendered.

A template is somebody else's program, and a thread that does not end cannot be ended. So each
worker has a process beside it that does nothing but render, with limits of time and memory
(:mod:`.rendering_process`). It is started once and kept (:mod:`.rendering_keeper`). When a template
reaches a limit, the process is replaced.

A tenant whose template reached a limit is in quarantine for a while (:mod:`.quarantine`): its
templates are rendered in a second process, so that those of other tenants do not wait for them.
When it has spent its allowance of time there, the rest is postponed: otherwise its templates would
hold the worker's slots.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import math
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..core.refs import Json
from ..errors import RenderingPostponed, TemplateError
from .quarantine import ALLOWANCE, QUARANTINE, Quarantine, Quarantines
from .rendering_keeper import Answer, Keeper, Question
from .rendering_process import RENDERED

DEADLINE = 20.0
"""Seconds after which a process that has not answered is ended. It should have ended itself long
before."""
QUEUE_TIME = 0.05
"""Seconds for which a template in quarantine waits for others, which is enough for some that are
quick. Then it is postponed: meanwhile it holds a worker's slot."""

COMMAND = (sys.executable, "-m", "orchestrator.clients.rendering_process")
_RANDOM = "random"
"""The one filter of Jinja2 that answers differently each time: what names it is not kept."""
_POSTPONED = (
    "template {} is postponed: templates of this tenant that reach a limit have taken"
    " too much time; correct them"
)


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
        self._first = Keeper(deadline, command)
        self._second = Keeper(deadline, command)
        self._allowance = allowance
        self._quarantines = Quarantines(quarantine)
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
        answer = self._ask(Question(question, template_id, text), tenant)
        if answer.kind != RENDERED:
            raise TemplateError(answer.text)
        if _RANDOM not in text:
            self._rendered.keep(question, answer.text)
        return answer.text

    def _ask(self, question: Question, tenant: str) -> Answer:
        with self._first.lock:
            # Asked here, because it may have begun while this thread waited for the lock.
            quarantine = self._quarantines.of(tenant)
            if not quarantine.lasts:
                answer = self._first.ask(question)
                return _noted(answer, question, quarantine)
        if not self._second.lock.acquire(timeout=QUEUE_TIME):
            raise RenderingPostponed(
                f"template {question.template_id} is postponed: another one of this"
                " tenant takes long"
            )
        try:
            if self._is_spent(question, quarantine):
                raise RenderingPostponed(
                    _POSTPONED.format(question.template_id)
                )
            answer = self._second.ask(question)
            return _noted(answer, question, quarantine)
        finally:
            self._second.lock.release()

    def _is_spent(self, question: Question, quarantine: Quarantine) -> bool:
        """Whether the tenant has no time left for a template that did not render lately."""
        spent = quarantine.spent() >= self._allowance
        return spent and hash(question.text) not in quarantine.rendered

    def close(self) -> None:
        """End the processes."""
        for keeper in (self._first, self._second):
            with keeper.lock:
                keeper.close()


def _noted(
    answer: Answer, question: Question, quarantine: Quarantine
) -> Answer:
    """The answer, after the quarantine has taken it in."""
    text = hash(question.text)
    if answer.exhausted:
        quarantine.begin(answer.spent)
        quarantine.rendered.discard(text)
    elif quarantine.lasts:
        quarantine.rendered.add(text)
    return answer


@lru_cache(maxsize=1)
def shared() -> Renderer:
    """One for all of this program, for a command that ends soon."""
    renderer = Renderer(allowance=math.inf)
    atexit.register(renderer.close)
    return renderer
