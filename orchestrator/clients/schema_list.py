"""The door to the API server's schema list: a file, a URL, or the project's own catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from ..core.schemas import Schemas, parse_schemas
from ..errors import InvalidInput, TemporaryError
from .catalogue import Catalogue, read_yaml

_TIMEOUT = 10.0
"""Seconds for the API server to answer."""


def load(source: str, catalogue: Catalogue) -> Schemas:
    """The resource types.

    :param source: a file (JSON or YAML), a URL, or empty for the catalogue.
    :raises InvalidInput: it is not a schema list.
    :raises TemporaryError: the API server does not answer.
    """
    if not source:
        return catalogue.schemas
    try:
        return parse_schemas(_fetch(source) if source.startswith(("http://", "https://")) else _read(Path(source)))
    except InvalidInput as error:
        raise InvalidInput(f"ORCHESTRATOR_SCHEMAS {source}: {error}") from error


def _read(path: Path) -> object:
    if path.suffix in (".yaml", ".yml"):
        return read_yaml(path)
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(str(error)) from error


def _fetch(url: str) -> object:
    try:
        reply = requests.get(url, timeout=_TIMEOUT)
        reply.raise_for_status()
        return reply.json()
    except ValueError as error:
        raise InvalidInput("the API server does not answer with JSON") from error
    except requests.RequestException as error:
        raise TemporaryError(f"the API server's schema list cannot be read: {error}") from error
