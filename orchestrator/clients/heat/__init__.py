"""The door to Heat and Keystone.

The rooms, from the outside in: :mod:`.stacks` asks (:class:`Heat`), :mod:`.answers` judges what
came back, :mod:`.keystone` (and :mod:`.plugins`) gets tokens, :mod:`.logins` says when to log in,
:mod:`.credentials` reads who we are, and :mod:`.connections` talks HTTP.
"""

from .logins import InStore, Logins
from .stacks import Heat

__all__ = ["Heat", "InStore", "Logins"]
