"""How far a historian is, and how far behind."""

from __future__ import annotations

from orchestrator.history.measuring import HistorianMetrics


def sample(metrics: HistorianMetrics, name: str) -> float:
    found = metrics.shown.registry.get_sample_value(f"orchestrator_historian_{name}")
    assert found is not None
    return found


def test_it_is_behind_by_what_was_read_and_is_not_written() -> None:
    metrics = HistorianMetrics()
    metrics.follows({"/config/": 100, "/state/": 90})
    assert (sample(metrics, "revision"), sample(metrics, "behind_revisions")) == (100, 0)

    metrics.read(130, 12)
    metrics.read(120, 3)
    assert sample(metrics, "behind_revisions") == 30
    assert sample(metrics, "behind_rows") == 15

    metrics.wrote(12, 10, {"/config/": 125, "/state/": 90})
    assert (sample(metrics, "behind_revisions"), sample(metrics, "behind_rows")) == (5, 3)

    metrics.wrote(3, 3, {"/config/": 130, "/state/": 90})
    assert (sample(metrics, "behind_revisions"), sample(metrics, "behind_rows")) == (0, 0)
    assert sample(metrics, "rows_total") == 13


def test_what_was_read_by_a_watch_that_broke_off_does_not_count_as_waiting() -> None:
    metrics = HistorianMetrics()
    metrics.follows({"": 1})
    metrics.read(50, 20)
    metrics.follows({"": 30})

    assert sample(metrics, "behind_rows") == 0
    assert sample(metrics, "behind_revisions") == 0
