"""Rendering in this process and in one with limits: the same texts and errors, and an end to
everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from orchestrator.clients.renderer import Renderer
from orchestrator.clients.rendering_process import CPU_LIMIT, MEMORY_LIMIT
from orchestrator.core.refs import Json
from orchestrator.errors import RendererUnavailable, RenderingPostponed, TemplateError

from tests.doubles import PlainRenderer

from .conftest import eventually

SECRET = "hunter2"
AnyRenderer: TypeAlias = Renderer | PlainRenderer

TAKES_LONG = "{% for i in range(99999) %}{% set x = range(100000)|list|sort %}{% endfor %}"
TAKES_MUCH = (
    "{% set n = namespace(x='aaaa') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
)
LONGER = f"line 1: it takes longer than {CPU_LIMIT:g} s to render"
OTHERS: set[int] = set()
"""Processes that were there when the test began: servers of other tests, for instance."""
MORE = f"line 1: it takes more than {MEMORY_LIMIT // 1024**2} MiB to render"


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    """The deadline is for a machine that is busy with other tests: a second of CPU may take a
    while."""
    made = Renderer(deadline=300.0)
    yield made
    made.close()


@pytest.fixture(params=["here", "in a process"])
def either(request: pytest.FixtureRequest) -> Iterator[AnyRenderer]:
    made: AnyRenderer = PlainRenderer() if request.param == "here" else Renderer()
    made.start()
    yield made
    made.close()


def children() -> set[int]:
    """The processes that this test has started and that are still there."""
    return _all_children() - OTHERS


@pytest.fixture(autouse=True)
def _others() -> None:
    OTHERS.clear()
    OTHERS.update(_all_children())


def _all_children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def error_of(renderer: AnyRenderer, text: str, tenant: str = "t1", **variables: Json) -> str:
    with pytest.raises(TemplateError) as caught:
        renderer.render("port", text, variables, tenant)
    return str(caught.value)


# The same, wherever -------------------------------------------------------------------------------


def test_a_template_becomes_a_text(either: AnyRenderer) -> None:
    text = "{% for x in jinja_xs %}{{ x.a }} ü {{ jinja_n }}\n{% endfor %}"

    assert (
        either.render("port", text, {"jinja_xs": [{"a": 1}, {"a": None}], "jinja_n": 1.5}, "t1")
        == "1 ü 1.5\nNone ü 1.5\n"
    )
    assert either.render("port", "", {}, "") == ""


def test_half_a_character_comes_back_as_it_went(either: AnyRenderer) -> None:
    assert (
        either.render("port", "\ud800{{ jinja_x }}", {"jinja_x": "\udfff\0"}, "t1")
        == "\ud800\udfff\0"
    )


def test_a_large_text_comes_back_whole(either: AnyRenderer) -> None:
    large = "ü" * 400_000

    assert either.render("port", "{{ jinja_x }}", {"jinja_x": large}, "t1") == large


def test_an_error_says_where_and_no_value(either: AnyRenderer) -> None:
    error = error_of(either, "\n{{ jinja_x[jinja_s] }}", jinja_x={}, jinja_s=SECRET)

    assert error == "template port, line 2: 'dict object' has no attribute …"
    assert (
        error_of(either, "{{ jinja_s + 1 }}", jinja_s=SECRET)
        == "template port, line 1: an expression raised TypeError"
    )


def test_after_an_error_others_render(either: AnyRenderer) -> None:
    error_of(either, "{% if %}")

    assert either.render("port", "{{ jinja_x }}", {"jinja_x": 1}, "t1") == "1"


# Limits -------------------------------------------------------------------------------------------

HOSTILE: list[Any] = [
    pytest.param(TAKES_LONG, LONGER, id="sorting in a loop"),
    pytest.param(TAKES_MUCH, MORE, id="texts doubled"),
    pytest.param(
        "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
        MORE,
        id="lists",
    ),
    pytest.param(
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
        LONGER,
        id="a list that contains itself many times",
    ),
    pytest.param("{{ ('a' * 90000)|replace('a', 'b' * 90000) }}", MORE, id="a replacement"),
    pytest.param("{{ 'x'|center(1000000000) }}", MORE, id="a wide text"),
    pytest.param("{{ '%1000000000d' % 3 }}", MORE, id="a wide number"),
    pytest.param("{{ range(90000)|join('b' * 90000) }}", MORE, id="a join"),
    pytest.param(
        "{% set l = range(100000)|list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
        "longer than",
        id="a search",
    ),
    pytest.param("{{ ([[1] * 90000] * 900)|sum(start=[]) }}", "it takes ", id="a sum of lists"),
    pytest.param(
        "{% set x = 'a' * 99999 %}" + "{% set x = x ~ x %}" * 16, MORE, id="doubled without a loop"
    ),
    pytest.param("{{ jinja_x.y" + "|string|list" * 12 + " }}", "it ", id="filters on filters"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all the limits")
@pytest.mark.parametrize(("text", "error"), HOSTILE)
def test_what_takes_too_long_or_too_much_ends_with_a_sentence(
    renderer: Renderer, text: str, error: str
) -> None:
    told = error_of(renderer, text, jinja_x={"y": "z" * 99_999})

    assert told.startswith("template port")
    assert error in told
    assert renderer.render("port", "{{ jinja_x }}", {"jinja_x": 1}, "t1") == "1"


def test_a_process_that_reached_a_limit_is_not_used_again(renderer: Renderer) -> None:
    renderer.start()
    (first,) = children()
    error_of(renderer, TAKES_MUCH)

    assert first not in children()


def test_a_template_is_not_blamed_for_the_memory_of_those_before_it(renderer: Renderer) -> None:
    """Many templates are kept compiled. When that is what takes the memory, a fresh process renders
    the next."""
    for n in range(40):
        renderer.render("port", f"{{# {n} #}}" + "{{ jinja_x }} " * 3_000, {"jinja_x": 1}, "t1")


def test_a_tenant_that_has_spent_its_allowance_is_postponed_and_no_other() -> None:
    renderer = Renderer(deadline=300.0, quarantine=3600.0, allowance=0.4)
    try:
        renderer.render("port", "good", {}, "hostile")
        assert "it takes longer than" in error_of(renderer, TAKES_LONG, "hostile")
        assert renderer.render("port", "good", {}, "hostile") == "good"
        assert "it takes longer than" in error_of(renderer, TAKES_LONG, "hostile")

        for text in (TAKES_LONG, "new"):
            with pytest.raises(
                RenderingPostponed,
                match="template port is postponed: templates of this tenant that reach a limit",
            ):
                renderer.render("port", text, {}, "hostile")
        assert renderer.render("port", "good", {}, "hostile") == "good", "it rendered the last time"
        assert "it takes longer than" in error_of(renderer, TAKES_LONG, "other")
    finally:
        renderer.close()


def test_a_longer_template_has_more_time(renderer: Renderer) -> None:
    """Compiling takes its time. This one takes more than the 0.25 s that a short one has."""
    assert error_of(renderer, TAKES_LONG + "{# a comment #}" * 20_000).endswith(
        "it takes longer than 1 s to render"
    )
    assert (
        renderer.render("port", "{{ jinja_x }} " * 6_000, {"jinja_x": 1}, "other") == "1 " * 6_000
    )


def test_a_tenant_in_quarantine_holds_up_no_other(renderer: Renderer) -> None:
    error_of(renderer, TAKES_LONG, "hostile")
    renderer.render("port", "x", {}, "other")
    ended = threading.Event()
    began = threading.Event()

    def go_on() -> None:
        began.set()
        error_of(renderer, TAKES_LONG, "hostile")
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        hostile = pool.submit(go_on)
        began.wait()
        rendered = 0
        while not ended.is_set():
            assert renderer.render("port", "{{ jinja_x }}", {"jinja_x": 1}, "other") == "1"
            rendered += 1
        hostile.result()
    assert rendered > 100, "they did not wait for each other"


def test_many_threads_each_get_their_own_answer(renderer: Renderer) -> None:
    def render(n: int) -> str:
        if n % 10 == 0:
            return error_of(renderer, "{{ jinja_n // 0 }}", jinja_n=n)
        return renderer.render("port", "{{ jinja_n }}", {"jinja_n": n}, f"t{n % 3}")

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(render, range(500)))

    assert all(
        text
        == (str(n) if n % 10 else "template port, line 1: an expression raised ZeroDivisionError")
        for n, text in enumerate(found)
    )
    assert len(children()) == 1


def test_what_was_rendered_before_needs_no_process(renderer: Renderer) -> None:
    """Most jobs of a type need the same text."""
    renderer.render("port", "x{{ jinja_x }}", {"jinja_x": 1}, "t1")
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert renderer.render("port", "x{{ jinja_x }}", {"jinja_x": 1}, "t2") == "x1"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert renderer.render("port", "x{{ jinja_x }}", {"jinja_x": 2}, "t1") == "x2"


def test_what_is_random_is_rendered_anew(renderer: Renderer) -> None:
    text = "{{ range(1000) | random }}"
    found = {renderer.render("port", text, {}, "t1") for _ in range(5)}

    assert len(found) > 1


# The process --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_process_that_somebody_ended_is_started_anew_and_no_template_is_blamed(
    renderer: Renderer, end: signal.Signals
) -> None:
    renderer.render("port", "x", {}, "t1")
    (pid,) = children()
    os.kill(pid, end)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(RendererUnavailable, match="was ended by somebody"):
        renderer.render("port", "y", {}, "t1")
    assert renderer.render("port", "y", {}, "t1") == "y"


def test_a_process_that_does_not_get_to_run_is_no_fault_of_the_template() -> None:
    renderer = Renderer(deadline=0.5)
    try:
        renderer.start()
        (pid,) = children()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RendererUnavailable, match="does not answer"):
            renderer.render("port", "x", {}, "t1")
        assert pid not in children()
    finally:
        renderer.close()


class Struck(Exception):
    """What a time limit of Celery raises, wherever the main thread happens to be."""


def test_an_exception_while_waiting_leaves_no_answer_for_the_next_question(
    renderer: Renderer,
) -> None:
    def strike(*_: object) -> None:
        raise Struck

    renderer.render("port", "x", {}, "t1")
    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Struck):
            renderer.render("port", TAKES_LONG, {}, "t1")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert renderer.render("port", "two", {}, "t1") == "two"


UNUSABLE: list[Any] = [
    pytest.param(("/nowhere/python",), "cannot be started: .*No such file", id="no such program"),
    pytest.param(
        (sys.executable, "-m", "orchestrator.nothing"),
        "ended at once with exit code 1",
        id="no such module",
    ),
]


@pytest.mark.parametrize(("command", "error"), UNUSABLE)
def test_a_process_that_cannot_be_started_is_no_fault_of_the_template(
    command: tuple[str, ...], error: str
) -> None:
    renderer = Renderer(command=command)
    try:
        with pytest.raises(RendererUnavailable, match=error):
            renderer.render("port", "x", {}, "t1")
    finally:
        renderer.close()


def test_the_process_has_no_secret_in_its_environment_or_its_arguments(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", SECRET)
    renderer.render("port", "x", {"jinja_x": SECRET}, "t1")
    (pid,) = children()

    for name in ("environ", "cmdline"):
        assert SECRET.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    opened = {str(Path(f"/proc/{pid}/fd/{fd}").readlink()).partition(":")[0] for fd in (0, 1, 2)}
    assert opened == {"socket", "/dev/null"}


HOLDS_ONE = """
    import os, sys, time
    from orchestrator.clients.renderer import Renderer
    renderer = Renderer()
    renderer.render("port", "x", {}, "t1")
    print(renderer._first._process._process.pid, flush=True)
    sys.stdin.read()
    %s
"""
ENDS: list[Any] = [
    pytest.param("os.kill(os.getpid(), 9)", id="killed"),
    pytest.param("sys.exit()", id="ended"),
    pytest.param(f"renderer.render('port', {TAKES_LONG!r}, {{}}, 't1')", id="ended after a limit"),
]


@pytest.mark.parametrize("end", ENDS)
def test_the_process_ends_with_the_one_that_started_it(end: str) -> None:
    program = [sys.executable, "-c", textwrap.dedent(HOLDS_ONE % end)]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdin and parent.stdout
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.stdin.close()
        parent.wait()

    eventually(lambda: not Path(f"/proc/{pid}").exists())
