"""The application: a list that is sorted and filtered, the whole status, and one resource."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from ...core.refs import Ref
from ...core.texts import clean
from ...errors import OrchestratorError
from ...views.listing import ListChoice, ListState, SortBy, ordered
from ...views.resource import ResourceView
from .. import showing, status
from ..ages import age
from ..output import BAD, FAINT, as_renderable, count
from ..status import phase_text
from .source import Picture, PictureSource

MOST = 200
"""Rows of the list: nobody scrolls through more, and a filter finds the others."""
EVERY = 1.0
"""Seconds between two pictures, at least; ages move on without a change."""
_COLUMNS = ("resource", "is", "age", "tenant", "because")
_SORTS = (SortBy.PHASE, SortBy.AGE, SortBy.NAME, SortBy.TENANT)
_STATES: tuple[ListState | None, ...] = (None, *ListState)


class TextScreen(ModalScreen[None]):
    """A text over the list, to be scrolled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]
    CSS = """
    TextScreen { background: $background; }
    TextScreen VerticalScroll { height: 1fr; }
    """

    def __init__(self, told: RenderableType) -> None:
        super().__init__()
        self._told = told

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._told, id="text", markup=False)
        yield Footer(compact=True)

    def action_scroll(self, lines: int) -> None:
        """Scroll by a line."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


class Board(App[None]):
    """The list of all resources, kept up to date."""

    TITLE = "orchestrator"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("o", "overview", "Status"),
        Binding("enter", "open", "Open"),
        Binding("s", "sort", "Sort"),
        Binding("f", "state", "State"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "clear", "All"),
    ]
    CSS = """
    #head { height: auto; max-height: 6; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    #filter.shown { display: block; }
    #told { height: 1; }
    DataTable { height: 1fr; }
    """

    def __init__(self, source: PictureSource) -> None:
        super().__init__()
        self._source, self._stopping = source, threading.Event()
        self.picture: Picture | None = None
        """The last one."""
        self.failure: OrchestratorError | None = None
        """Why it ended, if by an error."""
        self._sort, self._state, self._words = 0, 0, ""
        self._shown: list[Ref] = []

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Input(placeholder="words to find", id="filter", compact=True)
        yield DataTable[Text](cursor_type="row", zebra_stripes=True)
        yield Static(id="told", markup=False)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """The screen is there: begin."""
        table = self.query_one(DataTable)
        table.add_columns(*_COLUMNS)
        table.focus()
        self._follow()

    # Following ------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True)
    def _follow(self) -> None:
        """Pictures, until the end. In a thread: etcd is waited for here."""
        try:
            while not self._stopping.is_set():
                picture = self._source.picture()
                self.call_from_thread(self._take, picture)
                self._stopping.wait(EVERY)
                if not self._stopping.is_set():
                    self._source.wait(EVERY)
        except OrchestratorError as error:
            self.failure = error
            self.call_from_thread(self.exit)

    def _take(self, picture: Picture) -> None:
        self.picture = picture
        self._draw()

    async def action_quit(self) -> None:
        """The end."""
        self._stopping.set()
        self.exit()

    # Drawing --------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Everything anew; the cursor stays on its resource."""
        if self.picture is None:
            return
        found, now = self.picture.overview, self.picture.now
        self.query_one("#head", Static).update(
            as_renderable(status.first_lines(found, now))
        )
        listed = self._chosen()
        table = self.query_one(DataTable)
        before = self._at_cursor()
        table.clear()
        for one in listed[:MOST]:
            table.add_row(*_cells(one, now))
        self._shown = [one.standing.ref for one in listed[:MOST]]
        if before in self._shown:
            table.move_cursor(row=self._shown.index(before))
        self.query_one("#told", Static).update(self._sentence(len(listed)))

    def _chosen(self) -> list[ResourceView]:
        """What is listed now."""
        assert self.picture is not None, "there is one when something is drawn"
        state = _STATES[self._state]
        choice = ListChoice(states=frozenset(filter(None, (state,))))
        words = self._words.lower().split()
        found = [
            one
            for one in self.picture.listed
            if choice.takes(one) and _has(one, words)
        ]
        return ordered(found, _SORTS[self._sort])

    def _sentence(self, number: int) -> Text:
        """What is listed, and how."""
        state = _STATES[self._state]
        told = f"{count(number, 'resource')}, sorted by {_SORTS[self._sort]}"
        if state is not None:
            told = f"{told}, {state} only"
        if self._words:
            told = f"{told}, with {self._words!r}"
        if number > MOST:
            told = f"{told}; … and {number - MOST} more: filter them"
        return Text(f"{told}. Enter opens one.", FAINT)

    def _at_cursor(self) -> Ref | None:
        row = self.query_one(DataTable).cursor_row
        if 0 <= row < len(self._shown):
            return self._shown[row]
        return None

    # Keys -----------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """The next order."""
        self._sort = (self._sort + 1) % len(_SORTS)
        self._draw()

    def action_state(self) -> None:
        """The next state alone, and all again at the end."""
        self._state = (self._state + 1) % len(_STATES)
        self._draw()

    def action_filter(self) -> None:
        """Ask for words."""
        asked = self.query_one(Input)
        asked.add_class("shown")
        asked.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is typed filters at once."""
        self._words = event.value
        self._draw()

    def on_input_submitted(self) -> None:
        """Back to the list, filtered."""
        self.query_one(DataTable).focus()

    def action_clear(self) -> None:
        """All resources again."""
        asked = self.query_one(Input)
        asked.remove_class("shown")
        asked.value, self._words, self._state = "", "", 0
        self.query_one(DataTable).focus()
        self._draw()

    def action_overview(self) -> None:
        """The whole status, as `orchestrator status --all` prints it."""
        if self.picture is None:
            return
        found, now = self.picture.overview, self.picture.now
        parts = status.render(found, now, None)
        self.push_screen(TextScreen(as_renderable(parts)))

    def on_data_table_row_selected(self) -> None:
        """Enter on a row."""
        self.action_open()

    def action_open(self) -> None:
        """One resource."""
        ref = self._at_cursor()
        if ref is not None:
            self._open(ref)

    @work(thread=True)
    def _open(self, ref: Ref) -> None:
        """In a thread: the source may be busy."""
        told: RenderableType
        try:
            one, records = self._source.one(ref)
            now = self.picture.now if self.picture else 0.0
            told = showing.as_renderable_one(one, records, now)
        except OrchestratorError as error:
            told = Text(clean(str(error)), BAD)
        self.call_from_thread(self.push_screen, TextScreen(told))


def _cells(one: ResourceView, now: float) -> tuple[Text, ...]:
    standing = one.standing
    return (
        Text(clean(str(standing.ref))),
        phase_text(standing.phase),
        Text(age(now, standing.since)),
        Text(clean(one.tenant)),
        Text(clean(standing.reason)),
    )


def _has(one: ResourceView, words: Sequence[str]) -> bool:
    """Whether a resource has all words somewhere."""
    standing = one.standing
    parts = (
        str(standing.ref),
        standing.phase.value,
        one.tenant,
        standing.reason,
    )
    text = " ".join(parts).lower()
    return all(word in text for word in words)
