"""Whether Heat would take a template, as far as it shows without a cloud.

:mod:`.types` is what is known of Heat. :mod:`.functions` finds the intrinsic functions and what
they name, :mod:`.scope` says what names can mean, and :mod:`.shapes` how arguments must look.
:mod:`.resource_types` checks types, :mod:`.values` properties, :mod:`.parameters` parameters,
and :mod:`.template` the whole.
"""

from .template import check_hot, unused_parameters
from .types import HeatTypes, parse_heat_types

__all__ = ["HeatTypes", "check_hot", "parse_heat_types", "unused_parameters"]
