"""From the environment to settings that can be used, or to all their faults at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..errors import SettingsError
from . import checks, environment
from .environment import Found
from .forms import Mark
from .model import Settings, hidden, variable
from .together import faults_together


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings of a process, and where each comes from.

    *sources* are by field name, for what is not the default.
    *others* are variables of other programs (``OS_…``, ``FLOWER_…``) from the environment and the
    environment file.
    """

    settings: Settings
    sources: Mapping[str, str]
    others: Mapping[str, Found]


def load() -> Settings:
    """The settings of this process.

    :raises SettingsError: naming every variable that cannot be used.
    """
    return read(os.environ).settings


def read(environ: Mapping[str, str]) -> Loaded:
    """The settings that an environment holds, and where each comes from.

    :raises SettingsError: naming every variable that cannot be used.
    """
    secrets = [name for name in Settings.model_fields if hidden(name)]
    reading = environment.read(Settings.model_fields, secrets, environ)
    usable, text_faults = _usable(reading.settings)
    settings, form_faults = _validated(usable)
    faults = [*reading.faults, *text_faults, *form_faults]
    faults += faults_together(settings, usable, _named(faults))
    if faults:
        raise SettingsError(faults, settings.log_format)
    sources = {name: found.source for name, found in reading.settings.items()}
    return Loaded(settings, sources, reading.others)


def _usable(
    settings: Mapping[str, Found],
) -> tuple[dict[str, str], list[str]]:
    """The texts that may be asked what they mean, and the faults of the others."""
    usable: dict[str, str] = {}
    faults: list[str] = []
    for name, found in settings.items():
        field = Settings.model_fields[name]
        text = found.value
        if Mark.DOCUMENT in field.metadata:
            text = text.strip()
        fault = checks.text_fault(text)
        if not text and field.default != "":
            fault = "it is empty; give a value or remove the variable"
        if fault:
            faults.append(f"{variable(name)}: {fault}")
        else:
            usable[name] = text
    return usable, faults


def _named(faults: Sequence[str]) -> set[str]:
    """The fields of which faults tell: they stand at their defaults."""
    variables = {fault.partition(":")[0] for fault in faults}
    return {
        name for name in Settings.model_fields if variable(name) in variables
    }


def _validated(usable: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings as far as they can be used, with the default for the others; and the faults."""
    try:
        return Settings.model_validate(usable), []
    except ValidationError as error:
        found = {str(fault["loc"][0]): dict(fault) for fault in error.errors()}
        rest = {
            name: text for name, text in usable.items() if name not in found
        }
        return Settings.model_validate(rest), list(_sentences(found))


def _sentences(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """pydantic's faults in our words.

    :param found: by field name.
    """
    for name, fault in found.items():
        yield f"{variable(name)}: {_sentence(fault, hidden(name))}"


def _sentence(fault: Mapping[str, Any], is_hidden: bool) -> str:
    """:param is_hidden: the value may hold a secret, and is not quoted."""
    context = fault.get("ctx", {})
    if fault["type"] == "value_error":
        return str(context["error"])
    shown = str(fault["input"])
    if is_hidden:
        shown = ""
    kind, message = str(fault["type"]), str(fault["msg"])
    return checks.form_fault(kind, context, message, shown)
