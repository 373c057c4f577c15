"""What a command works with: the settings, the catalogue, the types and the store.
Opened here, passed down.

Also the one place where an error becomes a line on stderr and an exit code.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from .. import log as logs
from .. import settings as configuration
from ..clients import catalogue, schema_list
from ..clients.catalogue import Catalogue
from ..clients.etcd import EtcdStore
from ..clients.schema_list import Source
from ..clients.store import HistoryChanged, Store
from ..clients.types import Types
from ..core.keys import Keys
from ..errors import (
    InvalidInput,
    OrchestratorError,
    PlanStale,
    StoreForbidden,
    StoreUnavailable,
    TemporaryError,
)
from ..settings import Settings
from ..tracebacks import words
from ..views.times import Moment
from .exits import Exit
from .output import complain
from .usage import PlainUsage, is_usage

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds for which a command tries to read from an etcd that does not answer."""

_LEAST_PATIENCE = 1.0
"""The same where somebody allows a command hardly any time."""


@dataclass(frozen=True, slots=True)
class Session:
    """The doors of one command."""

    settings: Settings
    catalogue: Catalogue
    types: Types
    store: Store
    source: Source
    """Where this machine would find a schema list, if it were to lead."""

    def moment(self) -> Moment:
        """Now, and how long jobs may take by the settings of this machine."""
        settings = self.settings
        return Moment(
            time.time(),
            settings.stack_timeout,
            settings.timeout_margin,
            settings.project_patience,
        )

    @property
    def keys(self) -> Keys:
        """By the schema list that the leader has stored; by this machine's own, as long as there is
        none.

        :raises InvalidInput: there is none, and this machine's own cannot be used.
        :raises TemporaryError: etcd does not answer; or there is none, and the API server does not
            answer.
        """
        return self.types.keys


@contextmanager
def session(within: float | None = None) -> Iterator[Session]:
    """The doors, opened by the settings of this process.

    :param within: seconds that the command may take in all, as far as somebody has said so: an etcd
        that does not answer is given up at the end of them at the latest.
    :raises InvalidInput: a setting or the catalogue cannot be used.
    """
    settings = configuration.load()
    logs.configure(
        "DEBUG" if settings.log_level == "DEBUG" else "ERROR",
        settings.log_format,
    )
    templates = catalogue.load(settings.templates)
    source = schema_list.source(settings.schema_access, templates)
    patience = PATIENCE
    if within is not None:
        patience = min(PATIENCE, max(within, _LEAST_PATIENCE))
    store = EtcdStore(settings.etcd, read_timeout=patience)
    try:
        yield Session(
            settings,
            templates,
            Types(store, settings.prefixes, source.read),
            store,
            source,
        )
    finally:
        store.close()


class Commands(PlainUsage):
    """A group of commands whose errors a person can read."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OrchestratorError as error:
            text = str(error)
            if isinstance(error, StoreUnavailable):
                text = _etcd_away(error)
            complain(text)
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(Exit.INTERRUPTED) from error
        except BrokenPipeError:
            # Whoever read us has seen enough; Python would complain on the way out.
            sys.stderr.close()
            raise typer.Exit(Exit.OK) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if is_usage(error):
                raise
            log.debug("Bug", exc_info=True)
            complain(
                f"a mistake in orchestrator itself: {type(error).__name__}:"
                f" {words(error)}\nPlease report it; ORCHESTRATOR_LOG_LEVEL=DEBUG shows"
                " where it happened."
            )
            raise typer.Exit(Exit.DEFECT) from error


def exit_code(error: OrchestratorError) -> Exit:
    """What a command answers that ends by this error."""
    match error:
        case PlanStale():
            return Exit.STALE
        case InvalidInput():
            return Exit.INPUT
        case TemporaryError():
            return Exit.UNAVAILABLE
        case _:
            return Exit.PROBLEM


def _etcd_away(error: StoreUnavailable) -> str:
    """The store's error, shortened to what a person can act on."""
    text = str(error)
    if (
        isinstance(error, StoreForbidden | HistoryChanged)
        or "etcdserver" in text
    ):
        return text  # etcd has answered, and says what is wrong
    place, _, details = text.partition(": ")
    if details.startswith("TLS"):
        return text  # It runs, and the sentence says what to correct.
    if not place.startswith("etcd at "):
        place, details = "etcd", text
    if "refused" in details:
        details = "connection refused"
    try:
        endpoints = ",".join(configuration.load().etcd_endpoints)
    # It was read a moment ago; whatever happened since, the first error counts.
    except InvalidInput:
        endpoints = ""
    return (
        f"{place} does not answer: {details}; is it running?"
        f" ORCHESTRATOR_ETCD_ENDPOINTS={endpoints}"
    )
