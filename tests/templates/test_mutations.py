"""``templates check`` finds faults in a catalogue: several hundred are made, one at a time, and none may pass unseen.

Every third is tried. ``MUTATIONS=all python -m pytest tests/templates`` tries all, a minute long; ``SEED=2`` makes others.
All that are not found are printed.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator.cli import checking, entries
from orchestrator.cli.entries import CatalogueEntry, Problem
from orchestrator.clients import catalogue, heat_types

from .mutations import Mutant, mutants

SEED = int(os.environ.get("SEED", "1"))
OF_EACH = 7
"""Faults of each of the fifty kinds, at the most."""
FOUND = 0.98
ALL = os.environ.get("MUTATIONS") == "all"
STEP = 1 if ALL else 3
"""Every so many faults are tried; those of one kind follow each other, so some of each kind are."""
NONSENSE = 250 if ALL else 80
"""Files with a value of another kind somewhere."""


class Checker:
    """A copy of the catalogue in which one file after the other is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._heat = heat_types.load(folder)
        self._good = {entry.name: entry for entry in entries.read(folder)}

    def problems(self, mutant: Mutant, *, everywhere: bool = True) -> list[Problem]:
        """What is found: in the folder that was changed, else, if *everywhere*, in any."""
        file = self.folder / mutant.file
        before = file.read_text(encoding="utf-8")
        file.write_text(mutant.text, encoding="utf-8")
        try:
            name = mutant.file.partition("/")[0]
            own = self._check([name], self._with(name))
            return own if own or not everywhere else self._check([], self._with(name))
        finally:
            file.write_text(before, encoding="utf-8")

    def _with(self, changed: str) -> list[CatalogueEntry]:
        return [
            entries.read_entry(self.folder / name) if name == changed else entry
            for name, entry in self._good.items()
        ]

    def _check(self, names: list[str], all_entries: list[CatalogueEntry]) -> list[Problem]:
        return [
            problem
            for found in checking.check(all_entries, self._heat, names)
            for problem in found.problems
        ]


@pytest.fixture
def checker(tmp_path: Path) -> Iterator[Checker]:
    folder = tmp_path / "catalogue"
    shutil.copytree(catalogue.default_folder(), folder)
    yield Checker(folder)


def test_faults_in_templates_mappings_and_types_are_found_with_file_and_line(
    checker: Checker,
) -> None:
    made = mutants(checker.folder, SEED, OF_EACH)
    assert len(made) >= 300

    tried = made[::STEP]

    found = {
        mutant: [problem for problem in checker.problems(mutant) if problem.line]
        for mutant in tried
    }

    missed = [str(mutant) for mutant, problems in found.items() if not problems]
    print(
        f"seed {SEED}: {len(made)} faults, {len(tried)} tried, {len(missed)} not found",
        *missed,
        sep="\n",
    )
    assert len(missed) <= len(tried) * (1 - FOUND)


def test_every_kind_of_file_and_thirty_kinds_of_faults_are_among_them(checker: Checker) -> None:
    made = mutants(checker.folder, SEED, OF_EACH)

    assert {Path(mutant.file).name for mutant in made} == {
        "template.yaml.j2",
        "mapping.yaml",
        "schema.yaml",
    }
    assert len({mutant.operator for mutant in made[::STEP]}) >= 30
    assert mutants(checker.folder, SEED, OF_EACH) == made


JUNK = ("7", "[]", "{}", "null", "true", "x", "[{}]", "[[1]]", "{a: {b: [c]}}", "''", "[null]")


def test_nonsense_in_any_file_breaks_nothing(checker: Checker) -> None:
    """Values of every kind in the place of others: what comes of them are findings, not errors."""
    chance = random.Random(SEED)
    files = [
        file
        for file in sorted(checker.folder.glob("*/**/*"))
        if file.is_file() and "examples" not in file.parts
    ]
    made: list[Mutant] = []
    while len(made) < NONSENSE:
        file = chance.choice(files)
        lines = file.read_text(encoding="utf-8").split("\n")
        number = chance.randrange(len(lines))
        if found := re.match(r"(\s*[\w-]+:)( .*)?$", lines[number]):
            changed = [*lines[:number], f"{found[1]} {chance.choice(JUNK)}", *lines[number + 1 :]]
            made.append(
                Mutant(
                    "junk",
                    str(file.relative_to(checker.folder)),
                    number + 1,
                    "\n".join(changed),
                    lines[number],
                )
            )

    found_in = [bool(checker.problems(mutant, everywhere=False)) for mutant in made]

    assert sum(found_in) > len(made) / 2
