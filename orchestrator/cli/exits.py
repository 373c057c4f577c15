"""What a command's exit code means; every ``--help`` says it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The same numbers for every command."""

    OK = 0
    """Done, and all is well."""
    PROBLEM = 1
    """Understood and looked at, but something failed, is held back, was rejected or does not check.
    """
    INPUT = 2
    """The command line, a file or a setting cannot be used; nothing was written."""
    TIMEOUT = 3
    """The time was over before it was done."""
    UNAVAILABLE = 4
    """etcd, or another server that was needed, does not answer."""
    CHANGES = 5
    """A plan has something to do, and `--exit-code` asks for that."""
    STALE = 6
    """A saved plan is stale: what it was made from has changed, and nothing was written."""
    DEFECT = 70
    """A mistake in this program; please report it."""
    INTERRUPTED = 130
    """Ctrl-C."""


HELP = """\
Exit codes: 0 all is well, 1 something failed, is held back or does not check, \
2 wrong input (nothing was written), 3 time was over, 4 etcd does not answer, \
5 a plan has something to do (--exit-code), 6 a saved plan is stale."""
