"""A sweep: the stacks of one tenant, as Heat has them, against our records.

``reading`` reads etcd, ``listing`` asks Heat for its list and compares, ``strangers`` finds the
stacks without a record, ``deep`` compares some deeper, and ``writing`` stores what was found.
``sweep`` does these one after the other.
Heat gets nothing but GETs.
"""

from .sweep import sweep

__all__ = ["sweep"]
