"""Random YAML as templates render it: aliases that multiply, nesting, odd words, damaged HOT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from orchestrator.clients import heat_types
from orchestrator.core.checks.bodies import Shape
from orchestrator.core.checks.hot import check_hot
from orchestrator.core.refs import Json
from orchestrator.core.source import SourceError, read_hot, read_json, read_yaml

from .running import Fuzzer

_FOLDER = Path(__file__).parents[2] / "templates"
_CASES = [
    file.read_text()
    for file in sorted(_FOLDER.glob("*/*.yaml")) + sorted(_FOLDER.glob("*/cases/*.yaml"))
]
_WORDS = (
    "a",
    "1",
    "1e999",
    "0x10",
    "0644",
    "12:30:45",
    "yes",
    "~",
    ".nan",
    ".inf",
    "2020-01-01",
    "''",
    '"\\x00"',
    "!!int x",
    "9" * 5000,
)
_ODD = (
    "<<: *a",
    "<<: [*a, *a]",
    "? [a]\n: b",
    "!!python/object:os.system x",
    "%YAML 9.9",
    "---",
    "...",
    "\t",
    "\0",
    "&a",
    "*a",
    "- -",
    "{",
    "]",
)


def make(random: Random) -> str:
    """The document of one input."""
    return random.choice(_MAKERS)(random)


def run(text: str) -> str:
    """Read it as a document, as JSON, and as a rendered template, which is checked.

    A document is also taken for the JSON schema of a type, to which its own body is held.
    """
    outcomes: set[str] = set()
    for read in (read_yaml, read_json, read_hot):
        try:
            found = read(text)
        except SourceError as error:
            assert len(str(error)) < 2_000
            outcomes.add("refused")
            continue
        outcomes.add("read")
        for document in found if read is read_yaml else ():
            _check_body(document.value)
        for document in found if read is read_hot else ():
            for finding in check_hot(document.value, heat_types.known(), {}):
                assert document.line_of(finding.path) > 0
    return " and ".join(sorted(outcomes))


def _check_body(document: Json) -> None:
    if isinstance(document, dict):
        schema = document.get("schema", document)
        for finding in Shape(schema).check(document):
            assert str(finding)


def fuzzer() -> Fuzzer[str]:
    return Fuzzer("documents", make, run)


def _laughs(random: Random) -> str:
    """Each line names the one before several times."""
    width, lines = random.choice((2, 9, 50)), random.choice((3, 9, 30, 200))
    form = random.choice(("[%s]", "{%s}"))
    text = ["a0: &a0 [x, y]"]
    for n in range(1, lines):
        aliases = [f"*a{n - 1}" if form == "[%s]" else f"k{i}: *a{n - 1}" for i in range(width)]
        text.append(f"a{n}: &a{n} " + form % ", ".join(aliases))
    return "\n".join(text)


def _deep(random: Random) -> str:
    depth = random.choice((10, 99, 101, 900, 5000))
    begin, end = random.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("&a [", "]")))
    return begin * depth + "x" + end * depth


def _merged(random: Random) -> str:
    """Merge keys upon merge keys."""
    lines = random.choice((3, 30, 300))
    text = ["a0: &a0 {x: 1}"]
    text += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], y{n}: 1}}" for n in range(1, lines)]
    return "\n".join(text)


def _wide(random: Random) -> str:
    line = random.choice(
        ("- a\n", "a%d: {b: c}\n", "- {get_param: [a, %d]}\n", "- &x%d *x\n", "'\\n")
    )
    return "".join(line % n if "%d" in line else line for n in range(random.choice((9, 500, 3000))))


def _words(random: Random) -> str:
    lines = [
        f"{random.choice(_WORDS)}: {random.choice((*_WORDS, *_ODD))}"
        for _ in range(random.randint(1, 9))
    ]
    return "\n".join([*lines, random.choice(_ODD)])


def _damaged(random: Random) -> str:
    text = random.choice(_CASES)
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(text))
        put = random.choice((*_WORDS, *_ODD, "", text[place : place + 200]))
        text = text[:place] + put + text[place + random.choice((0, 1, 5, 40)) :]
    return text


_MAKERS: tuple[Callable[[Random], str], ...] = (
    _laughs,
    _deep,
    _merged,
    _wide,
    _words,
    _words,
    _damaged,
    _damaged,
)
