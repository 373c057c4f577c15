"""What the pages name is there: links, settings, commands with their options, metrics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from orchestrator.cli.commands import app
from orchestrator.faults import POINTS
from orchestrator.metrics.shapes import Metric
from orchestrator.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for folder in (".", "docs", "docs/howto", "deploy", "templates")
    for page in (ROOT / folder).glob("*.md")
)
OTHERS = {
    "ORCHESTRATOR_ENV_FILE",
    # For tests only.
    "ORCHESTRATOR_FAULT",
    "ORCHESTRATOR_FAULT_ONCE",
    # Examples of docs/settings.md for variables that do not exist.
    "ORCHESTRATOR_BROKR_URL",
    "ORCHESTRATOR_PORT",
    "ORCHESTRATOR_BRIDGE_SERVICE_HOST",
}
"""Variables that are no settings."""

COMMANDS: Any = typer.main.get_command(app)

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:^|`|\$ )orchestrator ((?:--env-file \S+ )?[a-z][^\n`#;]*)", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=named)


def anchors(page: Path) -> set[str]:
    """The names by which the headings of a page are linked to."""
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@each_page
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    dead = []
    for link in _LINK.findall(text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if link.startswith(("http:", "https:")):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)

    assert dead == []


@each_page
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = {f"ORCHESTRATOR_{name.upper()}" for name in Settings.model_fields}
    known |= OTHERS
    found = set(re.findall(r"ORCHESTRATOR_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
    # A page may name a group of settings by its beginning: ORCHESTRATOR_BROKER_….
    strange = {
        name
        for name in found
        if name.removesuffix("_FILE") not in known and not any(k.startswith(name) for k in known)
    }

    assert strange == set()


@each_page
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ").replace("\\|", "|")
    wrong = [call for call in _COMMAND.findall(text) if list(faults(call.split()))]

    assert wrong == []


def faults(words: list[str]) -> Iterator[str]:
    """The words of a command line that are no command and no option."""
    command = COMMANDS
    if words[0] == "--env-file":
        words = words[2:]
    while words and hasattr(command, "commands"):
        name = words[0].rstrip(".,:)*`").split("|")[0]
        if name not in command.commands:
            if not name.startswith("-"):
                yield words[0]
            break
        command, words = command.commands[name], words[1:]
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    for word in words:
        name = word.split("=")[0].rstrip(".,:)*`")
        if re.fullmatch(r"--?[a-z][a-z-]*", name) and name not in {*options, "--help", "-h"}:
            yield word


@pytest.mark.parametrize(
    "call",
    ["render network", "get --wide", "templates pull", "rollout start port --wave 1"],
)
def test_a_command_or_an_option_that_does_not_exist_is_found(call: str) -> None:
    assert list(faults(call.split()))


def test_the_glossary_defines_each_word_once() -> None:
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = Counter(re.findall(r"^\| ([^|`]+) \| ", page.partition("## Retired")[0], re.MULTILINE))

    assert len(words) > 100
    assert [word for word, number in words.items() if number > 1 and word != "word"] == []


def test_the_readme_names_every_command() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = "\n".join(re.findall(r"^\| `.*$", page, re.MULTILINE))

    assert [
        name for name in COMMANDS.commands if not re.search(rf"`(orchestrator )?{name}\b", rows)
    ] == []


def test_every_point_at_which_a_process_dies_is_explained() -> None:
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")

    assert [point for point in POINTS if f"| {point} |" not in page] == []


def test_every_metric_is_on_the_page_of_metrics() -> None:
    page = (ROOT / "docs/howto/monitoring.md").read_text(encoding="utf-8")

    assert [one.value.shown for one in Metric if one.value.shown not in page] == []
