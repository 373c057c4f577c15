"""How thoroughly properties are tested."""

import os

TIMES = int(os.environ.get("PROPERTIES", "1"))
"""How many times as many examples are tried: ``PROPERTIES=50`` in the environment is for a night."""
