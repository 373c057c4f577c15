"""Whether two values are the same though they are written otherwise.

Heat gives every parameter as a text, and services answer in spellings of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from ..documents import canonical, parse_json
from ..refs import Json

_UUID = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE
)
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


def alike(asked: Json, shown: Json) -> bool:
    """Whether a parameter that was asked for is the one that Heat shows."""
    forms = set(_forms(asked))
    return any(form in forms for form in _forms(shown))


def _forms(value: Json) -> Iterator[str]:
    """The value in each way in which it may be written, the plainest first."""
    if isinstance(value, str):
        yield f"text {value}"
        yield from _meanings(value)
        return
    yield canonical(value)
    if isinstance(value, bool):
        yield f"truth {value}"
    elif isinstance(value, int | float):
        yield f"number {float(value)}"
        yield f"text {value}"
        yield from _meanings(str(value))
    elif value == []:
        yield "text "
    elif isinstance(value, list):
        if all(isinstance(one, str | int | float) for one in value):
            yield "list " + canonical([str(one).strip() for one in value])
    elif value is None:
        yield "text "


def _meanings(text: str) -> Iterator[str]:
    """What a text may stand for."""
    word = text.strip().lower()
    if word in _TRUE:
        yield "truth True"
    if word in _FALSE:
        yield "truth False"
    with suppress(ValueError):
        yield f"number {float(word)}"
    yield "list " + canonical([part.strip() for part in text.split(",")])
    if text[:1] in ("[", "{"):
        try:
            yield from _forms(parse_json(text))
        except (ValueError, RecursionError):
            return


def comparable(wanted: Json, live: Json) -> bool:
    """Whether a property of a template can be compared with the attribute of its name.

    A service may give a document where the template gives a name, or an id in the place of a name.
    """
    if live is None:
        return False
    if isinstance(wanted, list) and isinstance(live, list):
        return all(map(_is_plain, wanted)) and all(map(_is_plain, live))
    if not (_is_plain(wanted) and _is_plain(live)):
        return False
    return not _is_id_of_a_name(wanted, live)


def _is_plain(value: Json) -> bool:
    return isinstance(value, str | int | float | bool)


def _is_id_of_a_name(wanted: Json, live: Json) -> bool:
    """Whether the template may name what the service shows by its id."""
    return bool(_UUID.fullmatch(str(live))) and not _UUID.fullmatch(str(wanted))


def same_live(wanted: Json, live: Json) -> bool:
    """Whether a property has the value that the template gives it. Lists have no order here, and
    letters no case: services store MAC addresses and protocols in small letters."""
    if isinstance(wanted, list):
        return sorted(map(_folded, wanted)) == sorted(map(_folded, live))
    return alike(_folded(wanted), _folded(live)) or alike(wanted, live)


def _folded(value: Json) -> str:
    return str(value).strip().casefold()
