"""The door to Heat and Keystone.

The rooms, from the outside in: :mod:`.stacks` asks (:class:`Heat`), :mod:`.answers` judges what
came back, :mod:`.refusals` remembers what was refused. :mod:`.cloud` chooses the credentials that
:mod:`.environment` reads, :mod:`.keystone` (or :mod:`.plugins`) makes tokens of them,
:mod:`.logins` says when to log in, :mod:`.shared_tokens` gives a token to all processes of a
worker, and :mod:`.connections` talks HTTP.
"""

from .logins import InStore, Logins
from .shared_tokens import SharedTokens, for_processes
from .stacks import Heat
from .wire import RequestObserver

__all__ = [
    "Heat",
    "InStore",
    "Logins",
    "RequestObserver",
    "SharedTokens",
    "for_processes",
]
