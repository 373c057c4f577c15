"""A restored etcd is told from a member that lags, and from answers that overtake each other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from orchestrator.clients.etcd.history import History, Witness
from orchestrator.clients.store import HistoryChanged


def header(revision: int, cluster: int = 7) -> SimpleNamespace:
    return SimpleNamespace(revision=revision, cluster_id=cluster)


def history(revision: int = 100) -> History:
    """One that has seen a revision."""
    known = History()
    known.check(header(revision), known.mark())
    return known


def test_revisions_that_rise_change_nothing() -> None:
    known = history(100)
    for revision in (100, 101, 250):
        known.check(header(revision), known.mark())

    assert (known.generation, known.mark().floor) == (0, 250)


def test_a_revision_below_one_seen_before_the_request_is_another_history() -> None:
    known = history(100)

    with pytest.raises(HistoryChanged, match="revision 60, and was at 100"):
        known.check(header(60), known.mark())
    assert known.generation == 1


def test_another_cluster_id_is_another_history_whatever_the_revision() -> None:
    known = history(100)

    with pytest.raises(HistoryChanged, match="another cluster id, 8 and not 7"):
        known.check(header(5000, cluster=8), known.mark())
    assert known.generation == 1


def test_an_answer_that_was_overtaken_is_no_sign() -> None:
    """Two threads ask side by side; the later revision is looked at first."""
    known = history(100)
    mark = known.mark()
    known.check(header(105), mark)
    known.check(header(103), mark)

    assert (known.generation, known.mark().floor) == (0, 105)


def test_a_change_is_counted_once_however_many_requests_meet_it() -> None:
    known = history(100)
    marks = [known.mark() for _ in range(3)]
    for mark in marks:
        with pytest.raises(HistoryChanged):
            known.check(header(60), mark)

    assert known.generation == 1


def test_after_a_change_the_new_history_is_as_good_as_the_old_one_was() -> None:
    known = history(100)
    with pytest.raises(HistoryChanged):
        known.check(header(60), known.mark())
    known.check(header(61), known.mark())

    assert (known.generation, known.mark().floor, known.witness) == (1, 61, None)


def test_the_witness_is_the_newest_write_of_this_history() -> None:
    known = history(100)
    known.saw(b"/a", 90, known.generation)
    known.saw(b"/b", 95, known.generation)
    known.saw(b"/c", 93, known.generation)
    known.saw(b"/d", 99, known.generation + 1)

    assert known.witness == Witness(b"/b", 95)
