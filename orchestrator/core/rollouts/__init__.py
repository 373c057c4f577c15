"""Roll-outs of templates: how each stack stands, and what follows from it.

``members`` says how one resource stands in a roll-out, ``deciding`` what is to be done next,
``waves`` how far the waves have come, for people.
All of it works on values: the leader gives what it knows, and performs the decision.
"""

from .deciding import Decided, decide
from .members import KnownMembers, Member, MemberStanding, place_of, standing_of
from .waves import WaveProgress, waves_of

__all__ = [
    "Decided",
    "KnownMembers",
    "Member",
    "MemberStanding",
    "WaveProgress",
    "decide",
    "place_of",
    "standing_of",
    "waves_of",
]
