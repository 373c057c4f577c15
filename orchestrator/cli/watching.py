"""``orchestrator status --watch``: runs the application."""

from __future__ import annotations

from ..views.following import follow
from .exits import Exit
from .session import Session
from .status import exit_of


def watch(doors: Session) -> Exit:
    """Show everything on the terminal, and keep it up to date until a key ends it; the exit code
    is that of the last picture.

    :raises StoreUnavailable: etcd does not answer any more.
    """
    # Importing the application takes longer than most commands do.
    from .board.application import Board
    from .board.source import FollowedSource

    with follow(doors.store, doors.keys) as follower:
        templates = doors.catalogue.templates
        board = Board(FollowedSource(follower, doors.moment(), templates))
        board.run()
    if board.failure is not None:
        raise board.failure
    if board.picture is None:
        return Exit.OK
    return exit_of(board.picture.overview)
