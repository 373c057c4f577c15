"""Where the broker is: its URL taken apart and checked, and what kombu and redis-py are told of it.

Nothing here connects. :mod:`..queue` opens the door, :mod:`..redis_transport` is the transport.
"""

from .access import BrokerAccess
from .faults import faults
from .options import parse_options
from .url import FILES_IN_URL, Address, parse_url

__all__ = (
    "FILES_IN_URL",
    "Address",
    "BrokerAccess",
    "faults",
    "parse_options",
    "parse_url",
)
