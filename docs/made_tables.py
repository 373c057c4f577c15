"""Tables in pages of the documentation that a program makes.

A table stands between two markers, and nothing else of its page is touched. The program that makes
it has two ways to be called:

    python docs/NAME.py            rewrite the table in the page
    python docs/NAME.py --check    exit 1 when the page is stale
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
END = "<!-- end of the table -->"


@dataclass(frozen=True)
class MadeTable:
    """A table in a page.

    :param page: where the page lies, below ``docs``.
    :param script: the name of the program that makes the table.
    :param table: makes the table, in Markdown.
    """

    page: str
    script: str
    table: Callable[[], str]

    def renewed(self, page: str) -> str:
        """The page with the table as it should be."""
        begin = f"<!-- table: made by {self.script} -->"
        before, found, rest = page.partition(begin)
        _, end, after = rest.partition(END)
        if not found or not end:
            sys.exit(f"{self.page}: the markers around the table are gone")
        return f"{before}{begin}\n\n{self.table()}\n\n{END}{after}"

    def run(self) -> None:
        """Rewrite the page, or check it, as the command line says."""
        path = DOCS / self.page
        page = path.read_text(encoding="utf-8")
        wanted = self.renewed(page)
        if sys.argv[1:] == ["--check"]:
            if page != wanted:
                sys.exit(f"{path} is stale: run python docs/{self.script}")
        elif sys.argv[1:]:
            sys.exit(f"usage: python docs/{self.script} [--check]")
        else:
            path.write_text(wanted, encoding="utf-8")
