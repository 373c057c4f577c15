"""One word for one thing: the retired words of the glossary do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
HEADING = "## Retired words"

FOLDERS = ("orchestrator", "tasks", "templates", "tests", "benchmarks", "deploy", "docs")
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")
KINDS = {".py", ".md", ".yaml", ".yml", ".example", ".service", ".svg", ".j2", ".conf"}

NOT_YET: dict[str, tuple[str, ...]] = {}
"""By retired word, the files and folders that still use it. A place that does no longer is to be
taken out of here."""


def retired() -> list[str]:
    """The words of the first column."""
    _, found, table = GLOSSARY.read_text().partition(HEADING)
    assert found
    rows = [line for line in table.splitlines() if line.startswith("|")]
    return [word for row in rows[2:] for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


def files() -> Iterator[Path]:
    for name in FILES:
        yield ROOT / name
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in KINDS and path.is_file():
                yield path


def text_of(path: Path) -> str:
    """What a file says, without the glossary's own table. Lines are joined: a word may be broken."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path == GLOSSARY:
        text = text.partition(HEADING)[0]
    return re.sub(r"\s+#?\s*", " ", text)


TEXTS = {str(path.relative_to(ROOT)): text_of(path) for path in files() if path != Path(__file__)}


def found(word: str) -> set[str]:
    """The files that say a word, in any case, as a word of its own or in a name."""
    words = r"[\s_-]+".join(map(re.escape, word.split()))
    pattern = re.compile(rf"(?<![a-z]){words}s?(?![a-z-])", re.IGNORECASE)
    return {name for name, text in TEXTS.items() if pattern.search(text)}


def is_listed(word: str, name: str) -> bool:
    return any(name == place or name.startswith(place + "/") for place in NOT_YET.get(word, ()))


@pytest.mark.parametrize("word", retired())
def test_a_retired_word_does_not_come_back(word: str) -> None:
    assert {name for name in found(word) if not is_listed(word, name)} == set()


def test_no_place_is_listed_that_is_done_already() -> None:
    done = {
        (word, place)
        for word, places in NOT_YET.items()
        for place in places
        if not any(name == place or name.startswith(place + "/") for name in found(word))
    }
    assert done == set()


def test_every_word_that_is_listed_is_retired() -> None:
    assert NOT_YET.keys() <= set(retired())


@pytest.mark.parametrize("text", ["a portion of", "PORTION = 8", "portions", "next_portion"])
def test_a_word_is_found_in_names_and_in_the_plural(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TEXTS, "example", text)
    assert "example" in found("portion")


@pytest.mark.parametrize("text", ["proportion", "apportioned"])
def test_a_word_is_not_found_inside_another(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, "example", text)
    assert "example" not in found("portion")
