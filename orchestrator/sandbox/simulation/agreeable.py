"""The client of a cloud that agrees to everything.

The `validate()` of Heat's resource types mixes checks of the template (which must be kept) with
questions to the cloud ("is this microversion supported?", "how many metadata entries are
allowed?").
Handing it this object keeps the former and answers the latter in the template's favour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self


class Agreeable:
    """Whatever is asked of it (attribute, call, item, comparison) it agrees, mostly by giving
    itself."""

    def __getattr__(self, name: str) -> Agreeable:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Agreeable:
        return self

    def __getitem__(self, key: Any) -> Agreeable:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Errors raised by a check of the template pass through."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __contains__(self, item: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return False

    def __le__(self, other: object) -> bool:
        return True

    def __ge__(self, other: object) -> bool:
        return True
