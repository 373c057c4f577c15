"""All settings as one value."""

from __future__ import annotations

from pydantic import ConfigDict

from ..core.masking import is_secret
from .environment import PREFIX
from .forms import Mark
from .servers import BrokerSettings, CatalogueSettings, EtcdSettings
from .shared import BridgeSettings, HistorySettings, KeySettings, LogSettings
from .work import (
    DriftSettings,
    HeatSettings,
    JobSettings,
    MonitoringSettings,
)


class Settings(
    LogSettings,
    HistorySettings,
    BridgeSettings,
    JobSettings,
    KeySettings,
    DriftSettings,
    MonitoringSettings,
    HeatSettings,
    CatalogueSettings,
    BrokerSettings,
    EtcdSettings,
):
    """All settings of a process.

    pydantic collects fields from the last class to the first.
    That is the order of docs/settings.md.
    """

    model_config = ConfigDict(defer_build=False)


def hidden(name: str) -> bool:
    """Whether a setting's value may hold a secret, and so may lie in a file of its own."""
    marks = Settings.model_fields[name].metadata
    is_path = Mark.FILE in marks or Mark.FOLDER in marks
    return Mark.SECRET in marks or (is_secret(name) and not is_path)


def variable(name: str) -> str:
    """The environment's variable of a field."""
    return PREFIX + name.upper()
