"""``orchestrator status --watch`` without the application: the whole picture, drawn anew."""

from __future__ import annotations

import time

from rich.live import Live
from rich.text import Text

from ..clients.store import Store
from ..core.keys import Keys
from ..views.following import follow
from ..views.overview import overview
from ..views.times import Moment
from .exits import Exit
from .output import FAINT, as_renderable, console
from .status import exit_of, render


def watch(store: Store, keys: Keys, limits: Moment) -> Exit:
    """Show it on the terminal and keep it up to date until Ctrl-C; the exit code is that of the
    last picture.

    :param limits: how long jobs may take.
    """
    with follow(store, keys) as follower:
        found = overview(follower.snapshot, limits.at(time.time()))
        try:
            with Live(
                console=console(), auto_refresh=False, vertical_overflow="crop"
            ) as live:
                while True:
                    now = time.time()
                    found = overview(follower.snapshot, limits.at(now))
                    bottom = Text(
                        f"{time.strftime('%H:%M:%S')}  Ctrl-C ends this.", FAINT
                    )
                    live.update(
                        as_renderable([*render(found, now), bottom]),
                        refresh=True,
                    )
                    follower.next(1.0)
        except KeyboardInterrupt:
            return exit_of(found)
