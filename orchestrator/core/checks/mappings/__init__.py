"""Whether the mappings of a template lead anywhere: types, properties, relations, outputs."""

from .parameters import check_parameters
from .templates import (
    FORCED,
    JINJA,
    check_choice,
    check_mappings,
    check_names,
    choices,
)
from .views import Around

__all__ = [
    "FORCED",
    "JINJA",
    "Around",
    "check_choice",
    "check_mappings",
    "check_names",
    "check_parameters",
    "choices",
]
