"""The mapping language (CONTRACT section 4): where a parameter's value comes from.

:mod:`.parser` turns short strings and objects into one tree of :mod:`.nodes`;
:mod:`.evaluate` evaluates a tree on a resource.
"""

from .evaluate import Evaluated, Missing, Scope, evaluate, plain
from .nodes import (
    Concat,
    Constant,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
    Version,
)
from .parser import parse

__all__ = [
    "Concat",
    "Constant",
    "Evaluated",
    "Field",
    "ForEach",
    "Hop",
    "If",
    "Missing",
    "Node",
    "ObjectField",
    "Output",
    "Scope",
    "Version",
    "evaluate",
    "parse",
    "plain",
]
