"""What is wrong with settings, in sentences: texts, files, and what does not go together.

Sentences of more than one variable begin with the one that is to be changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

from .environment import PREFIX

_QUOTES = ("'", '"')
_FORMS = {
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "int_type": "expected a whole number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
}
_BOUNDS = {
    "greater_than": ("gt", "expected more than {}"),
    "greater_than_equal": ("ge", "expected {} or more"),
    "less_than": ("lt", "expected less than {}"),
    "less_than_equal": ("le", "expected {} or less"),
}


def text_fault(text: str) -> str:
    """What is wrong with a value before anybody asks what it means."""
    if text != text.strip():
        return "there is white space around the value"
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        return "there are quotes around the value; they would be part of it"
    if any(
        (char < " " and char not in "\t\n\r") or char == "\x7f" for char in text
    ):
        return "there is a control character in the value"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "the value is not UTF-8"
    return ""


def form_fault(
    kind: str, context: Mapping[str, Any], message: str, text: str
) -> str:
    """One of pydantic's faults in our words.

    :param kind: its type, *context* its numbers, *message* its own words.
    :param text: the value as far as it may be shown.
    """
    told = _FORMS.get(kind, message)
    if kind in _BOUNDS:
        name, sentence = _BOUNDS[kind]
        told = sentence.format(f"{context[name]:g}")
    if text.startswith("tcp://"):
        told += "; Kubernetes sets this variable for a Service of that name: "
        told += "give the pod enableServiceLinks: false"
    if text:
        return f"{told}, not {text!r}"
    return told


def file_fault(path: str) -> str:
    """Why a file cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            stream.read(1)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except ValueError:
        return f"{path} cannot be read: no path"
    return ""


def file_faults(files: Mapping[str, str]) -> Iterator[str]:
    """:param files: paths by variable; empty ones are not set."""
    for variable, path in files.items():
        if path and (told := file_fault(path)):
            yield f"{variable}: {told}"


def folder_faults(folders: Mapping[str, str]) -> Iterator[str]:
    """The same of folders."""
    for variable, path in folders.items():
        if path and not Path(path).is_dir():
            yield f"{variable}: {path}: there is no such folder"


def prefix_faults(prefixes: Mapping[str, str]) -> Iterator[str]:
    """Each key belongs to one prefix.

    :param prefixes: by variable, without a slash at the end.
    """
    for (variable, prefix), (other, inner) in permutations(prefixes.items(), 2):
        if inner.startswith(prefix + "/"):
            yield f"{other}: {inner} lies below {prefix}, which is {variable}"
        elif prefix == inner and variable < other:
            yield f"{other}: {prefix} is {variable} already"


def etcd_faults(texts: Mapping[str, str]) -> Iterator[str]:
    """:param texts: settings by field name, as they were written."""
    user, password = texts.get("etcd_user"), texts.get("etcd_password")
    if password and not user:
        yield f"{PREFIX}ETCD_PASSWORD: there is no ORCHESTRATOR_ETCD_USER"
    endpoints = texts.get("etcd_endpoints", "")
    secured = texts.get("etcd_ca") or texts.get("etcd_cert")
    if "https://" in endpoints and not secured:
        told = "https:// needs the CA of etcd's server in ORCHESTRATOR_ETCD_CA"
        yield f"{PREFIX}ETCD_ENDPOINTS: {told}"
    if "http://" in endpoints and secured:
        told = "http:// has no TLS, but ORCHESTRATOR_ETCD_CA or _CERT is given"
        yield f"{PREFIX}ETCD_ENDPOINTS: {told}"
