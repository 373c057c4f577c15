"""Documents that people write, YAML or JSON, read as values that remember their lines.

YAML is read as JSON has it: ``null``, ``true``, ``false`` and the numbers of JSON are what they are
in JSON, and every other plain word is the text that was typed. ``0644``, ``12:30:45``, ``on`` and
``52:54:00:12:34:56`` are texts. Rendered templates are read as Heat reads them instead:
:mod:`.heat`.
"""

from .heat import base_60, read_hot
from .json import read_json
from .located import JsonPath, Located, SourceError, show_path
from .yaml import read_yaml

__all__ = [
    "JsonPath",
    "Located",
    "SourceError",
    "base_60",
    "read_hot",
    "read_json",
    "read_yaml",
    "show_path",
]
