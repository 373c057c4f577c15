"""The demo as a person sees it, from the first server to the last record."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys
from orchestrator.errors import OrchestratorError

from . import checking, documents
from .documents import INTERFACE
from .fleet import Demo
from .screen import Screen

#: Seconds that each simulated operation takes in Heat by default.
DELAY = 1.0

#: Seconds until everything must be at its end.
PATIENCE = 180.0

#: Columns where there is no terminal.
WIDTH = 120

MEMBERS = ("etcd", "redis", "heat", "collector", "bridge", "worker", "flower")


class Stopped(Exception):
    """A signal asks us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run(
    once: bool = False, logs: Path | None = None, delay: float = DELAY
) -> int:
    """Play the demo.

    :param once: check every record, tear everything down and return, instead of staying until
        Ctrl-C.
    :param logs: folder for logs and data; by default a new temporary one, which a good end of
        `once` removes.
    :param delay: how long each simulated operation takes in Heat, in seconds.
    :returns: the exit code: 0 when all went well, 1 when not, 128 and the signal's number when one
        came too early.
    """
    screen = Screen(
        Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    )
    folder = logs or Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    code = 1
    try:
        with _signals(), _log_to(folder / "demo.log"):
            code = _play(screen, folder, delay, once)
    except Stopped as stopped:
        screen.say(f"Stopped by {stopped}. The logs are in {folder}")
        return 128 + stopped.number
    except OrchestratorError as error:
        screen.chapter("This went wrong")
        screen.say(str(error))
    if code == 0 and once and logs is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        screen.say(f"The logs are in {folder}")
    return code


def _play(screen: Screen, folder: Path, delay: float, once: bool) -> int:
    begin = time.monotonic()
    screen.chapter(
        "Servers",
        "Real ones, each on a free port of this machine; their logs are in "
        + str(folder),
    )
    with contextlib.ExitStack() as stack:
        with screen.starting(MEMBERS) as started:
            demo = stack.enter_context(Demo(folder, delay, started=started))
        _build(screen, demo)
        identity = _identity(demo)
        _update(screen, demo)
        _show_records(screen, demo)
        _time_line(screen, demo)
        wrong = [
            *demo.problems(),
            *checking.passing(demo.follower, demo.keys, demo.wanted),
            *_not_updated(demo, identity),
        ]
        code = _verdict(screen, demo, wrong, time.monotonic() - begin)
        if once:
            screen.say("Ending everything.", "dim")
            return code
        _stay(screen, demo)
        return code


# The chapters -------------------------------------------------------------------------------------


def _build(screen: Screen, demo: Demo) -> None:
    service = documents.service(demo.collector.url)
    built = sum(1 for document in service if demo.builds(document.ref))
    screen.chapter(
        "A load balancer's service",
        f"{len(service)} resources are written to /config, as the API server does;"
        f" {built} of them become stacks in Heat.",
    )
    with screen.progress(demo.follower, [document.ref for document in service]):
        demo.apply(service)
        demo.settle(PATIENCE, watch_processes=True)


def _update(screen: Screen, demo: Demo) -> None:
    screen.chapter(
        "One interface changes",
        f"{INTERFACE} is written again as version 2: more connections, and only from"
        " two ranges. Its stack is updated in place.",
    )
    with screen.progress(demo.follower, [INTERFACE]):
        demo.apply(documents.update())
        demo.settle(PATIENCE, watch_processes=True)


def _show_records(screen: Screen, demo: Demo) -> None:
    screen.chapter(
        "Its six records in etcd",
        "Two of them are gone again by now; they are shown as they were.",
    )
    for number, (prefix, sentence) in enumerate(_records(demo.keys), 1):
        written = [
            entry
            for entry in demo.follower.written(prefix)
            if _is_about_it(demo.keys, *entry)
        ]
        if written:
            screen.record(number, *written[-1], sentence)


def _records(keys: Keys) -> Iterator[tuple[str, str]]:
    """Where each record of the interface is, and what it is."""
    yield (
        keys.below(keys.config, INTERFACE),
        "What is wanted: written by the API server, the body as JSON in a string.",
    )
    yield (
        keys.jobs,
        "The job that the bridge made of it: each parameter with its value, or"
        " the output to read. Gone when it is over.",
    )
    yield (
        keys.below(keys.stacks, INTERFACE),
        "What a worker saw of the stack in Heat. Other jobs read the outputs"
        " they need from here.",
    )
    yield (
        keys.below(keys.job_states, INTERFACE),
        "Where the job stood: {} while it ran, this once Heat was done. Gone"
        " when the state is written.",
    )
    yield (
        keys.below(keys.state, INTERFACE),
        "The answer to the API server: this version is done, with the stack's"
        " outputs.",
    )
    yield (
        keys.below(keys.monitoring, INTERFACE),
        "What the collector says of the interface, and of which version.",
    )


def _is_about_it(keys: Keys, key: str, value: str) -> bool:
    if value == "{}":
        return False
    if not key.startswith(keys.jobs):
        return True
    return job_ref(keys.job_id(key)) == INTERFACE


def _time_line(screen: Screen, demo: Demo) -> None:
    courses = [
        course
        for course in demo.follower.courses()
        if course.planned and course.stored and course.wanted
    ]
    if not courses:
        return
    screen.chapter(
        "The time line",
        "From the moment that a config is written to the moment that its state is.",
    )
    screen.time_line(courses)
    total = max(course.stored for course in courses) - min(
        course.wanted for course in courses
    )
    apart = sum(
        course.stored - course.asked for course in courses if course.asked
    )
    created, updated = (
        sum(1 for course in courses if (course.version == 1) is first)
        for first in (True, False)
    )
    screen.say(
        f"{created} stacks created and {updated} updated in {total:.1f} s; one after"
        f" the other it would be {apart:.1f} s.",
        "bold",
    )


def _verdict(
    screen: Screen, demo: Demo, wrong: list[str], seconds: float
) -> int:
    screen.chapter(
        "Check",
        "Every record against the contract, and against what Heat itself answers.",
    )
    if not wrong:
        stacks = sum(1 for ref in demo.wanted if demo.builds(ref))
        screen.say(
            f"✔ All is right: {len(demo.wanted)} resources, {stacks} stacks, nothing"
            f" left over. {seconds:.0f} s in all.",
            "bold green",
        )
        return 0
    screen.say(f"✘ {len(wrong)} things are not as they should be:", "bold red")
    for sentence in wrong:
        screen.say(sentence, indent=4)
    return 1


def _stay(screen: Screen, demo: Demo) -> None:
    screen.chapter("It is yours now")
    _places(screen, demo)
    screen.say("\nIn another terminal:\n")
    screen.write(
        Text(f"    set -a; . {demo.environment_file}; set +a", "bold cyan")
    )
    for command, sees in _commands():
        screen.write(Text(f"    {command}", "bold cyan"))
        screen.say(sees, "dim", indent=8)
    screen.say("\nWhat happens is shown here. Ctrl-C ends everything.\n")
    try:
        with screen.lines(demo.follower):
            while True:
                demo.look_after()
                time.sleep(1)
    except Stopped:
        screen.say("Ending everything.", "dim")


def _places(screen: Screen, demo: Demo) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, where in (
        ("Flower", demo.flower_url),
        ("etcd", demo.etcd.endpoint),
        ("Heat", f"{demo.heat.url}/v1/demo/stacks"),
        ("Collector", f"{demo.collector.url}/targets"),
        ("Logs", str(demo.folder)),
    ):
        grid.add_row(Text(name, "bold"), Text(where, "cyan", no_wrap=True))
    screen.console.print(Padding(grid, (0, 0, 0, 2)), soft_wrap=True)


def _commands() -> Iterator[tuple[str, str]]:
    """What a person may try, and what is to be seen then."""
    examples = documents.folder()
    with contextlib.suppress(ValueError):
        examples = examples.relative_to(Path.cwd())
    yield (
        "orchestrator status",
        "what runs, what waits and on whom, what failed and why",
    )
    yield (
        f"orchestrator get {INTERFACE.type} {INTERFACE.id}",
        "wanted, recorded and reported, side by side",
    )
    yield (
        f"orchestrator apply -f {examples / 'broken' / 'refused_by_heat.yaml'}",
        "Heat refuses one of the two; its state says why",
    )
    yield (
        f"orchestrator delete --wait {INTERFACE.type} lbif-admin",
        "its stack goes, and then all that is known of it",
    )


# What the update did to the stack -----------------------------------------------------------------


def _identity(demo: Demo) -> str:
    """Heat's own id of the interface's stack, which an update in place does not change."""
    stack = checking.HeatApi(demo.heat).stack(
        documents.update()[0].body["tenant_id"], INTERFACE.stack_name
    )
    return str(stack["id"]) if stack else ""


def _not_updated(demo: Demo, identity: str) -> Iterator[str]:
    """Whether the update arrived in Heat, down to the cloud behind it, and in the same stack."""
    body = documents.update()[0].body
    api = checking.HeatApi(demo.heat)
    if _identity(demo) != identity:
        yield f"{INTERFACE}: its stack is another one than before the update"
        return
    listener = api.properties(
        body["tenant_id"], INTERFACE.stack_name, "listener"
    )
    for name in ("connection_limit", "allowed_cidrs"):
        if listener.get(name) != body[name]:
            yield (
                f"{INTERFACE} in Heat: {name} of the listener is"
                f" {listener.get(name)!r}, should be {body[name]!r}"
            )


# Ending -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Turn the signals that end a program into an exception, so that everything is torn down on the
    way out.

    The second one ends us at once; the children are ended by their guard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise Stopped(number)

    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _log_to(file: Path) -> Iterator[None]:
    """Write what the library logs to a file: it must not run through the table."""
    logger = logging.getLogger("orchestrator")
    handler = logging.FileHandler(file)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
        handler.close()
