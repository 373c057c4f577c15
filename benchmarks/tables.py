"""Put the kept results into docs/performance.md: ``python -m benchmarks.tables [--check]``.

A table belongs between ``<!-- NAME -->`` and ``<!-- /NAME -->``, where NAME is a benchmark's.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .report import RESULTS

DOCUMENT = RESULTS.parents[1] / "docs" / "performance.md"


def filled(text: str, results: Path = RESULTS) -> str:
    """The document with every table as it was last kept."""

    def table(match: re.Match[str]) -> str:
        name = match[1]
        if not (results / f"{name}.md").exists():
            return match[0]  # not measured yet
        kept = (results / f"{name}.md").read_text().strip()
        plot = (
            f"\n\n![{name}](../benchmarks/results/{name}.png)"
            if (results / f"{name}.png").exists()
            else ""
        )
        return f"<!-- {name} -->\n{kept}{plot}\n<!-- /{name} -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", table, text, flags=re.DOTALL)


def main() -> int:
    """Write the document, or say whether it is up to date."""
    now = DOCUMENT.read_text()
    then = filled(now)
    if "--check" in sys.argv:
        if now != then:
            print(
                f"{DOCUMENT.name} does not show the kept results; run python -m benchmarks.tables",
                file=sys.stderr,
            )
        return int(now != then)
    DOCUMENT.write_text(then)
    return 0


if __name__ == "__main__":
    sys.exit(main())
