"""Which resources and templates decisions have looked at: what a plan relies on."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import TypeVar

from ..refs import Ref
from ..world import World

K = TypeVar("K")
V = TypeVar("V")


class _Followed(Mapping[K, V]):
    """A mapping that tells which of its keys were asked for, also those that are not there.

    Going through all of it (to count, say) is no question about one of them.
    """

    def __init__(self, inner: Mapping[K, V], note: Callable[[K], None]) -> None:
        self._inner, self._note = inner, note

    def __getitem__(self, key: K) -> V:
        self._note(key)
        return self._inner[key]

    def __contains__(self, key: object) -> bool:
        self._note(key)  # type: ignore[arg-type]
        return key in self._inner

    def __iter__(self) -> Iterator[K]:
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)

    def items(self) -> ItemsView[K, V]:
        return self._inner.items()

    def values(self) -> ValuesView[V]:
        return self._inner.values()


class Reads:
    """What was looked at in a world, from :meth:`follow` on."""

    def __init__(self) -> None:
        self.refs: set[Ref] = set()
        self.templates: set[str] = set()

    def follow(self, world: World) -> None:
        """Note every resource and template that is looked at from now on."""
        note = self.refs.add
        world.wanted = _Followed(world.wanted, note)
        world.stacks = _Followed(world.stacks, note)
        world.reported = _Followed(world.reported, note)
        world.handled = _Followed(world.handled, note)
        world.held = _Followed(world.held, note)
        world.failed = _Followed(world.failed, note)
        world.templates = _Followed(world.templates, self.templates.add)
