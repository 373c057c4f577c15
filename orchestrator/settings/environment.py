"""Where settings come from: the environment, an environment file, and files of one secret each.

The environment goes before the file. What is read here are texts; :mod:`.reading` says what they
mean.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import Binding, parse_stream

PREFIX = "ORCHESTRATOR_"
ENV_FILE = "ORCHESTRATOR_ENV_FILE"
"""Names the environment file. Without it ``.env`` in the current folder is read, if it is there."""
ENVIRONMENT = "environment"
"""The source of what was in the environment. Other sources are paths of files."""

_FILE = "_FILE"
_NO_SETTINGS = frozenset(
    {ENV_FILE, "ORCHESTRATOR_FAULT", "ORCHESTRATOR_FAULT_ONCE"}
)
"""Variables of ours that are no settings; the last two are for tests (orchestrator/faults.py)."""
_PASSED_ON = ("OS_", "FLOWER_")
"""Other programs' variables that an environment file may hold: OpenStack's and Flower's."""
_OPENSTACK_SECRETS = (
    "OS_PASSWORD",
    "OS_TOKEN",
    "OS_APPLICATION_CREDENTIAL_SECRET",
)
_LARGEST = 64 * 1024
"""Bytes of a file that holds a secret."""

_SERVICE_LINK = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?",
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Found:
    """A value and its source: :data:`ENVIRONMENT`, or the path of a file."""

    value: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. *settings* are by field name, *others* by the variables' names.

    *faults* are sentences that begin with a variable's name.
    """

    settings: Mapping[str, Found]
    others: Mapping[str, Found]
    faults: tuple[str, ...]


def read(
    names: Collection[str],
    secrets: Collection[str],
    environ: Mapping[str, str],
) -> Reading:
    """Find the settings.

    :param names: of the settings: ``etcd_user`` for ``ORCHESTRATOR_ETCD_USER``.
    :param secrets: those of them that may lie in a file of their own, ``ORCHESTRATOR_…_FILE``.
    """
    faults: list[str] = []
    found = _all_found(environ, faults)
    variables = {PREFIX + name.upper(): name for name in names}
    file_variables = {PREFIX + name.upper() + _FILE: name for name in secrets}
    settings: dict[str, Found] = {}
    in_files: dict[str, tuple[str, Found]] = {}
    for variable, value in found.items():
        if variable in variables:
            settings[variables[variable]] = value
        elif variable in file_variables:
            in_files[file_variables[variable]] = (variable, value)
        elif told := _unknown(variable, value.value, variables, file_variables):
            faults.append(told)
    for name, (variable, path) in in_files.items():
        if fault := _take_secret(settings, name, variable, path):
            faults.append(fault)
    others = _of_other_programs(found)
    faults += _openstack_secrets(others)
    return Reading(settings, others, tuple(faults))


def _all_found(
    environ: Mapping[str, str], faults: list[str]
) -> dict[str, Found]:
    """All variables, of settings and others; the environment goes before the file."""
    found = dict(_from_file(environ, faults))
    for name, value in environ.items():
        found[name] = Found(value, ENVIRONMENT)
    return found


def _of_other_programs(found: Mapping[str, Found]) -> dict[str, Found]:
    return {
        name: value
        for name, value in found.items()
        if name.startswith(_PASSED_ON)
    }


def export(
    others: Mapping[str, Found], environ: MutableMapping[str, str]
) -> None:
    """Put into the environment what a file holds for the libraries that read it there."""
    for name, found in others.items():
        if found.source != ENVIRONMENT:
            environ[name] = found.value


# The environment file -----------------------------------------------------------------------------


def _from_file(
    environ: Mapping[str, str], faults: list[str]
) -> Iterator[tuple[str, Found]]:
    named = environ.get(ENV_FILE)
    path = Path(environ.get(ENV_FILE, ".env"))
    if named is None and not path.exists():
        return
    if named == "":
        faults.append(f"{ENV_FILE}: it is empty; give a path or remove it")
        return
    source = str(path)
    lines: dict[str, int] = {}
    for binding in _bindings(path, faults):
        name, line = binding.key or "", _line(binding)
        if binding.error:
            faults.append(
                f"{ENV_FILE}: {source}, line {line}: expected NAME=VALUE"
            )
        elif not name.upper().startswith((PREFIX, *_PASSED_ON)):
            continue
        elif name in lines:
            faults.append(
                f"{name}: is set twice in {source}, in lines {lines[name]} and {line}"
            )
        elif binding.value is None:
            faults.append(f"{name}: has no value in {source}, line {line}")
        elif name == ENV_FILE:
            faults.append(
                f"{ENV_FILE}: does nothing inside a file ({source}, line {line})"
            )
        else:
            yield name, Found(binding.value, source)
        lines.setdefault(name, line)


def _line(binding: Binding) -> int:
    """The number of its line; the parser counts from the blank lines before it."""
    text = binding.original.string
    before = text[: len(text) - len(text.lstrip())]
    return binding.original.line + before.count("\n")


def _bindings(path: Path, faults: list[str]) -> list[Binding]:
    try:
        with path.open(encoding="utf-8") as stream:
            return list(parse_stream(stream))
    except UnicodeDecodeError:
        faults.append(f"{ENV_FILE}: {path} is not UTF-8")
    except OSError as error:
        faults.append(f"{ENV_FILE}: {path} cannot be read: {error.strerror}")
    return []


# Names --------------------------------------------------------------------------------------------


def _unknown(
    variable: str,
    value: str,
    variables: Mapping[str, str],
    file_variables: Mapping[str, str],
) -> str:
    """Why a variable is refused that is no setting; empty when it is no business of ours."""
    if not variable.startswith(PREFIX):
        upper = variable.upper()
        if upper in variables or upper in file_variables:
            return f"{variable}: is written {upper}"
        return ""
    if variable in _NO_SETTINGS or _is_service_link(variable, value):
        return ""
    if variable.removesuffix(_FILE) in variables:
        return (
            f"{variable}: only secrets are read from files; set"
            f" {variable.removesuffix(_FILE)}"
        )
    known = [
        name.removeprefix(PREFIX)
        for name in (*variables, *file_variables, ENV_FILE)
    ]
    close = difflib.get_close_matches(variable.removeprefix(PREFIX), known, 1)
    advice = "docs/settings.md lists those there are"
    if close:
        advice = f"did you mean {PREFIX}{close[0]}?"
    return f"{variable}: there is no such setting; {advice}"


def _is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes or Docker set it for a service whose name begins with ``orchestrator``."""
    match = _SERVICE_LINK.search(variable)
    if match is None or match.end() < len(variable):
        return False
    return match[0] != "_PORT" or bool(_SERVICE_URL.match(value))


# Secrets in files ---------------------------------------------------------------------------------


def _take_secret(
    settings: dict[str, Found], name: str, variable: str, path: Found
) -> str:
    """Take a setting's value out of its file. The fault, if there is one."""
    direct = settings.get(name)
    if direct is not None and direct.source == path.source:
        return f"{variable}: {variable.removesuffix(_FILE)} is set too; give one of them"
    if direct is not None and direct.source == ENVIRONMENT:
        return ""  # The environment goes before the file.
    try:
        settings[name] = Found(_secret(path.value), path.value)
    except ValueError as error:
        return f"{variable}: {error}"
    return ""


def _secret(path: str) -> str:
    """The text in a file, without the newline at its end.

    :raises ValueError: it cannot be read, or is empty.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_LARGEST + 1)
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} cannot be read: no path") from None
    if len(content) > _LARGEST:
        raise ValueError(f"{path} has more than {_LARGEST} bytes")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def _openstack_secrets(others: dict[str, Found]) -> Iterator[str]:
    """Replace ``OS_PASSWORD_FILE`` and its like by what lies in the file."""
    for name in _OPENSTACK_SECRETS:
        path = others.pop(name + _FILE, None)
        if path is None:
            continue
        if name in others:
            yield f"{name}{_FILE}: {name} is set too; give one of them"
            continue
        try:
            others[name] = Found(_secret(path.value), path.value)
        except ValueError as error:
            yield f"{name}{_FILE}: {error}"
