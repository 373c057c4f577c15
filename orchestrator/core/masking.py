"""No secret leaves by accident: not in a log line, a message, an error text or on a screen.

A value is secret when its key's name says so (:func:`is_secret`), at any depth. Records that keep
name and value apart count as well: ``{"output_key": "admin_password", "output_value": …}``.

Texts that others worded, such as Heat's reasons, may quote a secret: :class:`Veil` finds it there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from .documents import parse_json
from .refs import Json
from .spellings import Spelled, forms, squeezed_forms, views
from .texts import split

SECRET_WORDS = ("password", "secret", "token", "credential", "key")
"""The contract's words: a name that contains one is secret."""
_MORE_WORDS = (
    "passwd",
    "passphrase",
    "passcode",
    "adminpass",
    "cryptokek",
    "pswd",
    "authorization",
    "cookie",
    "configdrive",
    "kubeconfig",
)
"""What OpenStack and its parts call their secrets besides (``_SANITIZE_KEYS`` of oslo.utils, and
properties of Heat's resource types).
A name that contains one is secret."""
_WHOLE_WORDS = frozenset({"psk", "pwd", "jwt", "otp"})
"""Too short to be looked for inside others: a name is secret when one of its words is one of these.
"""
_LAST_WORD = "pass"
"""``admin_pass`` and ``adminPass`` are secret, ``pass_through`` and ``bypass`` are not."""

_NOT_SECRET = frozenset({"outputkey", "sshkeyname", "keyname"})
"""Names that contain a secret word and hold none: the mapping language's, and Nova's name of a key
pair."""

MASK = "***"
SHORTEST = 4
"""Characters of a secret that is looked for in texts: masking every "1" would hide the message
itself."""
_SHORTEST_LINE = 8
"""Characters of a line of a secret of several lines that is looked for by itself."""
_SHORTEST_BEGINNING = 8
"""Characters of a secret's beginning that is looked for where a text was cut off."""
LONGEST_TEXT = 64 * 1024
"""Characters of a text that are searched; the rest is dropped, for no reader needs a longer reason.
"""
MOST_SECRETS = 1000
"""Secrets that are looked for.
A resource with more is told without the texts that might quote one."""
_WITHHELD = (
    "(text withheld: the resource has more secrets than can be searched for)"
)

_PAIRS = (
    ("output_key", "output_value"),
    ("param", "value"),
    ("name", "value"),
    ("key", "value"),
)
"""Where a name and its value stand apart: Heat's stack outputs, the parameters of a job record, and
lists of settings."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_APART = re.compile(r"[\W_]+")
_ASSIGNED = re.compile(
    r"""(?P<name>[A-Za-z_][\w.-]{0,99})['"]?"""
    r"""(?:\s*[:=]\s*(?:[ub]?(?P<quote>['"])"""
    r"""(?P<text>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote))"""
    r"""|=(?P<bare>[^\s'",;&)\]}]+))"""
)
"""``password='x'``, ``"password": "x"``, ``password=x``: a value with its name before it."""


def is_secret(name: str) -> bool:
    """Whether a value of this name must not be shown."""
    joined = _APART.sub("", name).lower()
    if joined in _NOT_SECRET:
        return False
    if any(word in joined for word in (*SECRET_WORDS, *_MORE_WORDS)):
        return True
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (
        words[-1] == _LAST_WORD or not _WHOLE_WORDS.isdisjoint(words)
    )


def masked(value: Json) -> Json:
    """A copy in which secrets are replaced, at any depth."""
    if isinstance(value, dict):
        apart = _named_apart(value)
        return {
            name: _masked_member(name, inner, apart)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, str) and (inside := list(_secrets_inside(value))):
        return Veil(inside).over(value)
    return value


def _masked_member(name: str, value: Json, apart: str | None) -> Json:
    """A member of an object.

    :param apart: the name of the member that holds a secret whose name stands elsewhere.
    """
    if value in (None, ""):
        return value
    if is_secret(str(name)) or name == apart:
        return MASK
    return masked(value)


def _named_apart(value: Mapping[str, Json]) -> str | None:
    """The key under which a record holds a secret whose name stands under another key."""
    return next(
        (
            holder
            for name, holder in _PAIRS
            if holder in value and is_secret(str(value.get(name, "")))
        ),
        None,
    )


def secrets(value: Json) -> Iterator[str]:
    """Every secret text or number in a document, JSON inside of texts included."""
    if isinstance(value, dict):
        apart = _named_apart(value)
        for name, inner in value.items():
            if is_secret(str(name)) or name == apart:
                yield from texts(inner)
            else:
                yield from secrets(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from secrets(inner)
    elif isinstance(value, str):
        yield from _secrets_inside(value)


def _secrets_inside(text: str) -> Iterator[str]:
    """The secrets of a text that is a JSON document, such as a property that holds a whole
    configuration."""
    if not text.startswith(("{", "[")):
        return
    try:
        document = parse_json(text)
    except (ValueError, RecursionError):
        return
    yield from secrets(document)


def texts(value: Json) -> Iterator[str]:
    """Every text and number in a value that is secret as a whole."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


class Veil:
    """Hides some secrets in any text, however they are spelled there.

    A secret is found as it is, with its white space changed, escaped as JSON, Python, URLs or HTML
    do (also twice), and encoded in base64.
    Where a text was cut off, so is the beginning of a secret.
    Values behind a secret name (``password='x'``) are hidden even if they are not known.
    Secrets of fewer than :data:`SHORTEST` characters are not searched for.
    An ordinary word that is somebody's secret is hidden wherever it stands: nothing tells the one
    from the other.
    """

    def __init__(self, hidden: Iterable[str] = ()) -> None:
        self._secrets = frozenset(_searched(hidden))

    @cached_property
    def _forms(self) -> dict[bool, frozenset[str]]:
        """What is looked for, in a view with white space and in one without."""
        return {False: self._made(forms), True: self._made(squeezed_forms)}

    def _made(self, make: Callable[[str], Iterator[str]]) -> frozenset[str]:
        return frozenset(
            form
            for secret in self._secrets
            for form in make(secret)
            if len(form) >= SHORTEST
        )

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def also(self, hidden: Iterable[str]) -> Veil:
        """The same, with more to hide."""
        return Veil((*self._secrets, *hidden))

    def over(self, text: str) -> str:
        """*text* with everything that is secret masked; of a longer one the first
        :data:`LONGEST_TEXT` characters."""
        if len(self._secrets) > MOST_SECRETS:
            return _WITHHELD
        searched, mark = split(text, LONGEST_TEXT)
        spans = [
            (match.start(group), match.end(group))
            for match, group in _assigned(searched)
        ]
        if self._secrets:
            for view in views(searched):
                spans += self._found(view)
        return _hidden(searched, spans) + mark

    def over_all(self, value: Json) -> Json:
        """A document with every text in it told so."""
        if isinstance(value, dict):
            return {name: self.over_all(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.over_all(inner) for inner in value]
        if isinstance(value, str):
            return self.over(value)
        if str(value) in self._secrets and not isinstance(value, bool):
            return MASK
        return value

    def _found(self, view: Spelled) -> Iterator[tuple[int, int]]:
        for form in self._forms[view.squeezed]:
            yield from view.find(form)
            yield from view.find_beginning(form, _SHORTEST_BEGINNING)


def _searched(hidden: Iterable[str]) -> Iterator[str]:
    """What is looked for in place of some secrets: each, without the white space around it, and its
    lines."""
    for secret in hidden:
        text = secret[:LONGEST_TEXT]
        lines = [line.strip() for line in text.splitlines()]
        yield from (
            form
            for form in {text, text.strip()}
            if len(form) >= SHORTEST and not form.isspace()
        )
        yield from (
            line
            for line in lines
            if len(lines) > 1 and len(line) >= _SHORTEST_LINE
        )


def _assigned(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The values that stand behind a secret name, as (match, name of its group)."""
    for match in _ASSIGNED.finditer(text):
        group = "bare"
        if match["quote"]:
            group = "text"
        if is_secret(match["name"].rpartition(".")[2]) and match[group]:
            yield match, group


def _hidden(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """*text* with some spans masked; those that touch become one."""
    pieces: list[str] = []
    position = 0
    for start, end in sorted(spans):
        if start >= position:
            if start > position or not pieces:
                pieces += [text[position:start], MASK]
            position = end
        else:
            position = max(position, end)
    return "".join(pieces) + text[position:]


def without(text: str, hidden: Iterable[str]) -> str:
    """*text* with every one of the *hidden* texts masked: for reasons that others (Heat) worded."""
    return Veil(hidden).over(text)
