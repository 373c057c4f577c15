"""The door to schema lists: an API server's, a file, or the project's own catalogue.

:func:`source` chooses by the settings. Only bridges, and the command line as long as no bridge has
stored a list, ask an API server; see :mod:`orchestrator.clients.types`.
"""

from .access import (
    AUTHENTICATIONS,
    KEYSTONE,
    SchemaAccess,
    is_address,
    source_fault,
)
from .sources import Source, source

__all__ = [
    "AUTHENTICATIONS",
    "KEYSTONE",
    "SchemaAccess",
    "Source",
    "is_address",
    "source",
    "source_fault",
]
