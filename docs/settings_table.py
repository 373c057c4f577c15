"""Write the table of docs/settings.md from the settings themselves.

python docs/settings_table.py            rewrite the table in the page
python docs/settings_table.py --check    exit 1 when the page is stale
"""

from __future__ import annotations

from orchestrator.settings import Settings

from made_tables import MadeTable


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


PAGE = MadeTable("settings.md", "settings_table.py", table)


if __name__ == "__main__":
    PAGE.run()
