"""Write the table of docs/settings.md from the settings themselves.

    python docs/settings_table.py            rewrite the table in the page
    python docs/settings_table.py --check    exit 1 when the page is stale

Only what stands between the two markers is touched.
"""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.settings import Settings

PAGE = Path(__file__).with_name("settings.md")
BEGIN, END = "<!-- table: made by settings_table.py -->", "<!-- end of the table -->"


def default(value: object) -> str:
    """A default as one would write it into the environment."""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, float):
        value = f"{value:g}"
    return f"`{value}`" if value not in ("", {}) else "empty"


def table() -> str:
    """One row for each setting, in the order in which they are declared."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `ORCHESTRATOR_{name.upper()}` | {default(field.default)} | {meaning} |")
    return "\n".join(rows)


def renewed(page: str) -> str:
    """The page with the table as it should be."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{PAGE}: the markers around the table are gone")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    wanted = renewed(page)
    if sys.argv[1:] == ["--check"]:
        if page != wanted:
            sys.exit(f"{PAGE} is stale: run python docs/settings_table.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
