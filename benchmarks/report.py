"""What a benchmark leaves behind: a table on the terminal and, with ``--save``, in ``benchmarks/results``.

``NAME.json`` has everything that was measured, ``NAME.md`` the table with machine, versions, seed and
commit, ``NAME.png`` the plot. docs/performance.md shows them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .measuring import where

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass
class BenchResult:
    """One benchmark's outcome.

    :param columns: headings; the first column says what a row is about.
    :param data: everything worth keeping, as JSON.
    :param plot: draws on a matplotlib axes.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)
    plot: Callable[[Any], None] | None = None

    def publish(self, *, save: bool) -> None:
        """Print the table; with *save*, write the three files."""
        command = f"python -m benchmarks {' '.join(sys.argv[1:])}"
        shown = Table(
            *self.columns,
            title=self.title,
            title_justify="left",
            caption=where(),
            caption_justify="left",
        )
        for row in self.rows:
            shown.add_row(*row)
        console = Console(width=130)
        console.print(shown)
        for note in self.notes:
            console.print(f"  {note}", highlight=False)
        if not save:
            return
        RESULTS.mkdir(exist_ok=True)
        lines = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        text = (
            f"**{self.title}**\n\n"
            + "\n".join(lines)
            + "\n\n"
            + "".join(f"{note}  \n" for note in self.notes)
        )
        (RESULTS / f"{self.name}.md").write_text(f"{text}\n`{command}`; {where()}\n")
        document = {"title": self.title, "command": command, "where": where(), **self.data}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n")
        if self.plot:
            self._draw()

    def _draw(self) -> None:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
        assert self.plot is not None
        self.plot(axes)
        axes.set_title(self.title, loc="left", fontsize=10)
        axes.grid(alpha=0.25)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.supxlabel(where(), fontsize=5, color="0.5", x=0.99, ha="right")
        figure.savefig(RESULTS / f"{self.name}.png", dpi=130)
        pyplot.close(figure)
