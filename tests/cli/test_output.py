"""What reaches a screen: every character to be seen, and nothing for a terminal to carry out."""

from __future__ import annotations

import io
import json

import pytest
import yaml
from orchestrator.cli import output
from orchestrator.cli.output import Format, Section, as_columns, as_json, as_renderable, as_yaml
from orchestrator.core.refs import Json
from orchestrator.core.texts import is_odd
from rich.console import Console
from rich.text import Text

EVIL = "a\nb\x1b[31m\x1b]0;t\u202e\u200b\x9b\x85\ud800[red]x[/red]"
SEEN = "a⏎b\\x1b[31m\\x1b]0;t\\u202e\\u200b\\x9b\\x85\\ud800[red]x[/red]"


def on_a_terminal(*parts: Section | Text) -> str:
    """What a terminal is sent, but for the colours that are ours."""
    target = io.StringIO()
    console = Console(
        file=target,
        force_terminal=True,
        color_system=None,
        width=300,
        markup=False,
        highlight=False,
        emoji=False,
    )
    console.print(as_renderable(parts))
    return target.getvalue()


def test_a_table_on_a_terminal_shows_what_it_was_given() -> None:
    text = on_a_terminal(
        Section(EVIL, ("resource", "reason"), [(EVIL, Text(EVIL, "red"))]), Text(EVIL)
    )

    assert text.count(SEEN) == 4
    assert not any(is_odd(letter) for letter in text if letter != "\n")


def test_columns_in_a_pipe_show_what_they_were_given() -> None:
    text = as_columns(Section("", ("resource", "reason"), [(EVIL, Text(EVIL))]))

    assert text.count(SEEN) == 2 and len(text.splitlines()) == 2


@pytest.mark.parametrize("say", [output.complain, output.hint])
def test_an_error_shows_what_it_was_given_and_no_line_of_it_looks_like_another(
    say: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(say)
    say(f"{EVIL}\nerror: forged")
    text = capsys.readouterr().err

    assert not any(is_odd(letter) for letter in text if letter != "\n")
    assert "\nerror:" not in text or say is output.hint


def test_sections_and_sentences_in_a_pipe_show_what_they_were_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.show([Text(EVIL), Section("Failed", ("cause",), [(EVIL,)])])

    assert capsys.readouterr().out.count(SEEN) == 2


DOCUMENT: Json = {EVIL: [EVIL, "two\nlines", "é", " x", "no", 5, None, {"deep": "tab\there"}]}


def test_a_json_document_can_be_printed_and_says_all() -> None:
    text = as_json(DOCUMENT)

    assert json.loads(text) == DOCUMENT
    assert not any(is_odd(letter) for letter in text if letter != "\n") and text.encode()


def test_a_yaml_document_can_be_printed_and_says_all() -> None:
    document = json.loads(json.dumps(DOCUMENT).replace("\\ud800", ""))
    text = as_yaml(document)

    assert yaml.safe_load(text) == document
    assert not any(is_odd(letter) for letter in text if letter != "\n")
    assert "\n  two\n" in text.replace("    ", "  "), "texts of several lines are still blocks"
    assert as_yaml(DOCUMENT).encode()


@pytest.mark.parametrize("form", [Format.JSON, Format.YAML])
def test_a_lone_surrogate_ends_no_command(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"id": "\ud800"}, form)

    assert "ud800" in capsys.readouterr().out.lower()
