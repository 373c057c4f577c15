"""A command line that cannot be understood, told as every other error is: one line on stderr, and
no box around it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import typer
from rich.box import Box
from rich.panel import Panel
from typer import rich_utils
from typer.core import TyperGroup

from .exits import Exit
from .output import complain


class PlainUsage(TyperGroup):
    """A group of commands whose errors of usage are one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """As the library's, which draws a box around such errors when it ends the process
        itself."""
        run = partial(
            super().main,
            args,
            prog_name,
            complete_var,
            False,
            windows_expand_args,
            **extra,
        )
        if not standalone_mode:
            return run()
        try:
            code = run()
        except typer.Abort:
            sys.exit(Exit.INTERRUPTED)
        except Exception as error:
            if not is_usage(error):
                raise
            _tell(error)
            sys.exit(getattr(error, "exit_code", Exit.INPUT))
        if not isinstance(code, int):
            code = Exit.OK
        sys.exit(code)


_NO_LINES = Box("    \n" * 8)
"""A box whose every line is blank: a title and what belongs to it, as text."""


def without_boxes() -> None:
    """From now on help is text, without lines around it: for pipes, files and small programs."""
    rich_utils.Panel = partial(Panel, box=_NO_LINES)  # type: ignore[attr-defined,assignment]


def is_usage(error: Exception) -> bool:
    """Whether the error is the command line parser's own."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _tell(error: Any) -> None:
    if (
        type(error).__name__ == "NoArgsIsHelpError"
    ):  # Nothing was typed: the help is the answer.
        error.show()
        return
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "orchestrator"
    message = " ".join(error.format_message().split()).rstrip(".")
    complain(f"{_plain(message)} (see `{command} --help`)")


def _plain(message: str) -> str:
    """Without the words of the library that checks values."""
    return message.replace(": Input should be", ": should be").replace(
        ": Value error, ", ": "
    )
