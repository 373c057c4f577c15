"""Text that came from outside: bounded before it is stored, made visible before it is printed.

Keys, names, ids and Heat's reasons are written by others. A text of megabytes would not fit into a
record, and a control character would move the cursor of a terminal or begin a log line of its own.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

LONGEST_REASON = 4096
"""Characters of a reason that are stored. A failure is repeated in the record of each resource that
depends on the failed one, so this bounds more than one record."""

LONGEST_WORDS = 3000
"""Characters of the words of others inside a reason: what to do about it stands behind them."""

NEWLINE = "⏎"

_MARK = re.compile(r"… \(cut: ([\d,]+) characters\)\Z")
_LONGEST_MARK = 64
_VISIBLE = {"\n": NEWLINE, "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def cut(text: str, most: int = LONGEST_REASON) -> str:
    """*text*, or its beginning and a mark that says how long it was: ``… (cut: 2,097,152
    characters)``.

    :param most: characters of the result, at most; more than the mark needs.
    """
    if len(text) <= most:
        return text
    return "".join(split(text, most))


def split(text: str, most: int) -> tuple[str, str]:
    """What stays of a text, and the mark behind it: together what :func:`cut` gives.

    A text that was cut before keeps its length from then.
    """
    earlier = _MARK.search(text, max(len(text) - _LONGEST_MARK, 0))
    if len(text) <= most:
        if earlier:
            return (text[: earlier.start()], earlier.group())
        return (text, "")
    mark = f"… (cut: {len(text):,} characters)"
    if earlier:
        mark = earlier.group()
    return text[: max(most - len(mark), 0)], mark


def is_odd(letter: str) -> bool:
    """Whether a character is invisible, or does something on a terminal other than to be seen.

    Those are what Python's ``repr`` escapes (control and format characters, zero-width ones
    included, surrogates, unassigned ones), but for spaces of any width.
    """
    return not letter.isprintable() and unicodedata.category(letter) != "Zs"


def clean(text: str, keep: str = "") -> str:
    """*text* with every odd character replaced by one that is seen.

    A newline becomes ``⏎``, an escape ``\\x1b``, a bidirectional override ``\\u202e``.

    :param keep: characters that stay as they are, such as a newline.
    """
    return _replaced(
        text, keep, lambda letter: _VISIBLE.get(letter) or escaped(letter)
    )


def clean_json(document: str) -> str:
    """A JSON document with every odd character, but for newlines, written by its number.
    It says the same as before."""
    return _replaced(document, "\n", _json_escaped)


def clean_yaml(document: str) -> str:
    """The same of a YAML document in which texts with odd characters stand in double quotes."""
    return _replaced(document, "\n", escaped)


def _replaced(text: str, keep: str, instead: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(
        instead(letter) if is_odd(letter) and letter not in keep else letter
        for letter in text
    )


def escaped(letter: str) -> str:
    """A character by its number, as Python and YAML write it: ``\\x1b``, ``\\u202e``,
    ``\\U000e0001``."""
    number = ord(letter)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    if number <= 0xFFFF:
        return f"\\u{number:04x}"
    return f"\\U{number:08x}"


def _json_escaped(letter: str) -> str:
    """As JSON writes it: beyond ``\\uffff`` as two surrogates."""
    if letter != "\x7f":
        return json.dumps(letter)[1:-1]
    return "\\u007f"
