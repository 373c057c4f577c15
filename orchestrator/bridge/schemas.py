"""Which schema list is in force: the leader decides, and stores it in etcd for all others.

A thread of the bridge reads the list again at intervals, while the bridge leads. A list with other
types is compared with what etcd holds. If no resource would lose its type by it, the term ends and
the next one begins with the new list. Otherwise the list in force stays, and that is told.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from ..clients.schema_list import Source
from ..clients.store import Store
from ..clients.types import Stored, read_stored
from ..clock import CLOCK, Clock
from ..core import effects
from ..core.keys import Keys, Prefixes
from ..core.records import SchemaTrouble
from ..core.schema_list import SchemaList
from ..core.schemas import Schemas
from ..errors import (
    InvalidInput,
    SchemasDenied,
    StoreUnavailable,
    TemporaryError,
)
from ..events import EventName, count
from .health import Health
from .leader import Leadership, LeadershipLost
from .using import types_missing

log = logging.getLogger(__name__)

_FRESH = 10.0
"""Seconds for which a list that was read counts as the newest one."""
_WAIT = 3.0
"""Seconds between two attempts to get a first list."""

_REFUSED = ("Schema list refused", EventName.SCHEMAS_REFUSED)
_UNAVAILABLE = ("Schema list cannot be read", EventName.SCHEMAS_UNAVAILABLE)
"""What is logged, and its event."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A list that was read, and when, by the monotonic clock."""

    listed: SchemaList
    read_at: float

    def is_fresh(self, now: float) -> bool:
        return now - self.read_at < _FRESH


class SchemaKeeper:
    """Keeps the schema list of one bridge."""

    def __init__(
        self,
        source: Source,
        store: Store,
        prefixes: Prefixes,
        interval: float,
        health: Health,
        clock: Clock = CLOCK,
    ) -> None:
        """:param interval: seconds between two readings of the list."""
        self._source, self._store, self._health, self._interval = (
            source,
            store,
            health,
            interval,
        )
        self.keys = Keys(prefixes, Schemas(()))
        """Those of records that belong to no type."""
        self._clock = clock
        self._candidate: _Candidate | None = None
        self._in_force: Stored | None = None
        self._leadership: Leadership | None = None
        self._trouble: SchemaTrouble | None = None
        self._wake = threading.Event()
        self._changed = threading.Event()

    # Before the first term ------------------------------------------------------------------------

    def prepare(self, stopping: threading.Event) -> None:
        """Wait until there is a list: at the source, or stored by a leader before.

        :raises SchemasDenied: the API server does not let us read its list.
        :raises InvalidInput: what the source has cannot be used, and no list is stored.
        """
        while not stopping.is_set():
            try:
                self._candidate = _Candidate(
                    self._source.read(), self._clock.monotonic()
                )
                break
            except SchemasDenied:
                raise
            except InvalidInput as error:
                if not self._is_stored():
                    raise
                self._tell(error)
                break
            except TemporaryError as error:
                self._tell(error)
                if self._is_stored():
                    break
            self._clock.wait(stopping, _WAIT)
        threading.Thread(
            target=self._follow, args=(stopping,), name="schemas", daemon=True
        ).start()

    def _is_stored(self) -> bool:
        try:
            return self._stored() is not None
        except StoreUnavailable as error:
            count(EventName.SCHEMAS_UNKNOWN)
            fields = {"event": "schemas_unknown", "reason": str(error)}
            log.warning("Stored schema list not read", extra=fields)
            return False

    def _stored(self) -> Stored | None:
        try:
            stored = read_stored(self._store, self.keys)
            if stored is not None:
                stored.listed.schemas()
            return stored
        except (ValueError, InvalidInput) as error:
            count(EventName.SCHEMAS_UNREADABLE)
            log.error(
                "Stored schema list cannot be read",
                extra={"event": "schemas_unreadable", "reason": str(error)},
            )
            return None

    # The beginning of a term ----------------------------------------------------------------------

    def begin(self, leadership: Leadership) -> Keys:
        """The keys of a term that begins. A new list that can be used is put in force first.

        :raises InvalidInput: there is no list that can be used.
        :raises StoreUnavailable: there is no list, and the API server gives none at the moment.
        """
        stored, candidate = self._stored(), self._newest()
        if stored is None and candidate is None:
            candidate = self._first()
        if candidate is not None and (
            stored is None or candidate.digest != stored.listed.digest
        ):
            stored = self._accepted(leadership, candidate, stored)
        assert stored is not None, "there was a list, or it was stored"
        self._in_force, self._leadership = stored, leadership
        self._changed.clear()
        self._wake.set()
        return Keys(self.keys.prefixes, stored.listed.schemas(stored.revision))

    def _newest(self) -> SchemaList | None:
        """The list of the source, as far as it is known to be the newest without a request."""
        if self._source.local:
            try:
                return self._source.read()
            except InvalidInput as error:
                self._tell(error)
                return None
        candidate = self._candidate
        if candidate is None or not candidate.is_fresh(self._clock.monotonic()):
            return None
        return candidate.listed

    def _first(self) -> SchemaList:
        try:
            return self._source.read()
        except TemporaryError as error:
            told = f"etcd holds no schema list, and there is no other: {error}"
            raise StoreUnavailable(told) from error

    def _accepted(
        self,
        leadership: Leadership,
        listed: SchemaList,
        before: Stored | None,
    ) -> Stored:
        """A new list in force, or the one before if it cannot be used."""
        fault = self._fault(listed, before)
        if not fault:
            revision = leadership.commit(
                effects.store_schemas(self.keys, listed)
            )
            fields = {
                "source": listed.source,
                "types": len(listed.entries),
                "revision": revision,
            }
            count(EventName.SCHEMAS_IN_FORCE)
            log.info(
                "Schema list taken in",
                extra={"event": "schemas_in_force", **fields},
            )
            return Stored(listed, revision)
        refused = InvalidInput(f"ORCHESTRATOR_SCHEMAS {listed.source}: {fault}")
        if before is None:
            raise refused
        self._tell(refused)
        return before

    def _fault(self, listed: SchemaList, before: Stored | None) -> str:
        """Why a list must not be led with; empty when it may."""
        try:
            listed.data()
            keys = Keys(self.keys.prefixes, listed.schemas())
        except InvalidInput as error:
            return str(error)
        return types_missing(
            self._store, keys, before.listed.schemas() if before else None
        )

    @property
    def digest(self) -> str:
        """That of the list in force."""
        return self._in_force.listed.digest if self._in_force else ""

    # While this bridge leads ----------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether there is a new list to lead with: the term is to end."""
        return self._changed.is_set()

    def ask(self) -> None:
        """Read the list now: an operator wants it."""
        self._wake.set()

    def _follow(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            asked = self._clock.wait(self._wake, self._interval)
            self._wake.clear()
            leadership, in_force = self._leadership, self._in_force
            if leadership is None or in_force is None or self._changed.is_set():
                continue
            try:
                leadership.check()
                self._poll(leadership, in_force, asked)
            except LeadershipLost:
                continue
            except StoreUnavailable as error:
                count(EventName.SCHEMAS_UNKNOWN)
                log.info(
                    "Schema list not read",
                    extra={"event": "schemas_unknown", "reason": str(error)},
                )
            except Exception:
                count(EventName.SCHEMAS_DEFECT)
                log.exception(
                    "Schema list not read because of a bug",
                    extra={"event": "schemas_defect"},
                )

    def _poll(
        self, leadership: Leadership, in_force: Stored, asked: bool
    ) -> None:
        """Read the list once, if it may have changed."""
        if (
            not asked
            and self._trouble is None
            and not self._source.may_have_changed()
        ):
            return
        request = self._store.get(self.keys.schema_reload)
        try:
            listed = self._source.read()
            self._check(listed, in_force)
        except StoreUnavailable:
            raise
        except (InvalidInput, TemporaryError) as error:
            self._tell(error)
        else:
            self._untell()
            if listed.digest != in_force.listed.digest:
                self._candidate = _Candidate(listed, self._clock.monotonic())
                count(EventName.SCHEMAS_CHANGED)
                log.info(
                    "Schema list changed, starting a new term",
                    extra={"event": "schemas_changed", "source": listed.source},
                )
                self._changed.set()
                return  # A request is dealt with once the list is in force.
        self._write_trouble(leadership)
        if request is not None:
            leadership.commit(effects.end_reload(self.keys, request.revision))

    def _check(self, listed: SchemaList, in_force: Stored) -> None:
        """
        :raises InvalidInput: the list is another one, and cannot be led with.
        """
        if listed.digest == in_force.listed.digest:
            return
        if fault := self._fault(listed, in_force):
            raise InvalidInput(f"ORCHESTRATOR_SCHEMAS {listed.source}: {fault}")

    # What is told ---------------------------------------------------------------------------------

    def _tell(self, error: InvalidInput | TemporaryError) -> None:
        """The list that is there cannot be used, or there is none at the moment."""
        refused, known = isinstance(error, InvalidInput), self._trouble
        self._health.schemas(str(error), refused=refused)
        if known is not None and (known.reason, known.refused) == (
            str(error),
            refused,
        ):
            return
        since = (
            known.since
            if known is not None and known.refused == refused
            else self._clock.stamp()
        )
        self._trouble = SchemaTrouble(
            str(error), self._source.name, since, refused
        )
        message, event = _UNAVAILABLE
        if refused:
            message, event = _REFUSED
        count(event)
        fields = {
            "event": event.value,
            "source": self._source.name,
            "reason": str(error),
        }
        log.warning(message, extra=fields)

    def _untell(self) -> None:
        if self._trouble is not None:
            count(EventName.SCHEMAS_USABLE)
            log.info(
                "Schema list can be used again",
                extra={"event": "schemas_usable", "source": self._source.name},
            )
        self._trouble = None
        self._health.schemas("", refused=False)

    def _write_trouble(self, leadership: Leadership) -> None:
        """Tell the command line, if that is not told yet."""
        found = self._store.get(self.keys.schema_trouble)
        wanted = self._trouble.to_json() if self._trouble else None
        if wanted != (found.value.decode(errors="replace") if found else None):
            leadership.commit(effects.tell_trouble(self.keys, self._trouble))
