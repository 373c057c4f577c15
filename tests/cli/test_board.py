"""The application of `status --watch`, led by Textual's own pilot on a terminal of 80 columns and 24 lines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest
from orchestrator.cli.board.application import Board, TextScreen
from orchestrator.cli.board.source import FollowedSource, Picture
from orchestrator.clients import catalogue
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Ref
from orchestrator.errors import StoreUnavailable
from orchestrator.views.following import SnapshotFollower
from orchestrator.views.listing import ListChoice, chosen
from orchestrator.views.overview import overview
from orchestrator.views.reading import ReadAll, read_all
from orchestrator.views.resource import RecordView, ResourceView, records, resource
from orchestrator.views.snapshot import Snapshot
from orchestrator.views.standings import Progress
from orchestrator.views.times import Moment
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from tests.doubles import MemoryStore

from .night import Night

NOW = 1795449345.0


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    keys, store = Keys(Prefixes(), catalogue.load().schemas), MemoryStore()
    for key, value in Night(keys, NOW, 110).written().items():
        store.put(key, value)
    return read_all(store, keys)


class StillSource:
    """A source whose picture does not change; it may fail."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, self.moment = snapshot, Moment(NOW)
        self.fails = threading.Event()

    def picture(self) -> Picture:
        if self.fails.is_set():
            raise StoreUnavailable("etcd is away")
        listed = chosen(self.snapshot, ListChoice(), self.moment)
        return Picture(overview(self.snapshot, self.moment), listed, NOW)

    def wait(self, seconds: float) -> bool:
        return self.fails.wait(0.01)

    def one(self, ref: Ref) -> tuple[ResourceView, Sequence[RecordView]]:
        progress = Progress(self.snapshot, self.moment)
        return resource(self.snapshot, progress, ref), records(self.snapshot, ref)


def lead(board: Board, steps: Callable[[Pilot[None]], Awaitable[None]]) -> None:
    """Run the application, and these steps once the first picture is there."""

    async def run() -> None:
        async with board.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: board.picture is not None)
            await steps(pilot)

    asyncio.run(run())


async def until(pilot: Pilot[None], ready: Callable[[], object]) -> None:
    for _ in range(400):
        if ready():
            await pilot.pause()
            return
        await pilot.pause(0.01)
    raise AssertionError("not within 4 s")


def rows(board: Board) -> list[str]:
    table = board.query_one(DataTable)
    return [str(table.get_row_at(place)[0]) for place in range(table.row_count)]


def is_text(board: Board) -> bool:
    return isinstance(board.screen, TextScreen)


def told(board: Board) -> str:
    return str(board.query_one("#told", Static).content)


def test_what_is_worst_stands_first_and_everything_fits(snapshot: Snapshot) -> None:
    board = Board(StillSource(snapshot))

    async def steps(pilot: Pilot[None]) -> None:
        assert rows(board)[:2] == ["router:stuck-0", "router:stuck-1"]
        assert len(rows(board)) == 110
        table = board.query_one(DataTable)
        assert table.size.height >= 10 and board.size.width == 80

    lead(board, steps)


def test_the_list_is_sorted_and_filtered_by_keys(snapshot: Snapshot) -> None:
    board = Board(StillSource(snapshot))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert "sorted by age" in told(board)
        await pilot.press("f")
        assert len(rows(board)) == 32 and rows(board)[0] == "port:quota-00"
        await pilot.press("slash", *"vlan", "enter")
        assert len(rows(board)) == 10
        await pilot.press("escape")
        assert len(rows(board)) == 110 and not board.query_one(Input).has_class("shown")

    lead(board, steps)


def test_a_resource_is_opened_with_its_records(snapshot: Snapshot) -> None:
    board = Board(StillSource(snapshot))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter")
        await until(pilot, lambda: is_text(board))
        assert board.screen.query_one("#text", Static).virtual_size.height > 24
        await pilot.press("j", "k", "escape")
        assert not is_text(board)

    lead(board, steps)


def test_the_whole_status_is_one_key_away(snapshot: Snapshot) -> None:
    board = Board(StillSource(snapshot))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("o")
        assert is_text(board)
        await pilot.press("q")
        assert not is_text(board)
        await pilot.press("q")

    lead(board, steps)
    assert board.failure is None


def test_an_etcd_that_is_away_ends_the_application_with_its_error(snapshot: Snapshot) -> None:
    source = StillSource(snapshot)
    board = Board(source)

    async def steps(pilot: Pilot[None]) -> None:
        source.fails.set()
        await until(pilot, lambda: board.failure is not None)

    lead(board, steps)
    assert str(board.failure) == "etcd is away"


def test_a_followed_source_shows_what_changes(snapshot: Snapshot) -> None:
    keys, store = snapshot.keys, MemoryStore()
    for key, value in Night(keys, NOW, 101).written().items():
        store.put(key, value)
    follower = SnapshotFollower(store, ReadAll(store, keys))
    try:
        source = FollowedSource(follower, Moment(NOW), {})
        before = len(source.picture().listed)
        store.delete(keys.below(keys.config, Ref("port", "held-0")))
        store.delete(keys.below(keys.held, Ref("port", "held-0")))
        while len(source.picture().listed) == before:
            assert source.wait(5.0), "the change comes"
        one, found = source.one(Ref("router", "stuck-0"))
        assert one.standing.ref == Ref("router", "stuck-0") and len(found) == 4
    finally:
        follower.close()
