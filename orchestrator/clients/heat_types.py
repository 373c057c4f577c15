"""The door to what is known of Heat's resource types.

The file beside this module was made from an installed Heat by ``python -m
orchestrator.sandbox.heat_types --write``.
A catalogue may add the types of plug-ins in its ``heat_types.yaml``.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

from ..core.checks.hot import HeatTypes, parse_heat_types
from ..errors import InvalidInput
from .catalogue import read_yaml

FILE = Path(__file__).with_name("heat_types.json.gz")
PLUGINS = "heat_types.yaml"


@cache
def known() -> HeatTypes:
    """What Heat itself has."""
    return parse_heat_types(json.loads(gzip.decompress(FILE.read_bytes())))


def load(folder: Path) -> HeatTypes:
    """The same with the types that a catalogue adds.

    :raises InvalidInput: naming the file at fault.
    """
    file = folder / PLUGINS
    if not file.exists():
        return known()
    try:
        return known().with_plugins(read_yaml(file))
    except InvalidInput as error:
        raise InvalidInput(
            f"{file}: {str(error).removeprefix(f'{file}: ')}"
        ) from error
