"""What a worker measures: each of its processes in a row of its own, all shown by one page.

The worker makes the rows before it forks, and answers ``/metrics`` in its first process.
Its other processes only count.
"""

from __future__ import annotations

from http.server import ThreadingHTTPServer

from orchestrator.events import COUNTS, EventName
from orchestrator.metrics.cells import Cells, layout
from orchestrator.metrics.shapes import (
    AnswerKind,
    Metric,
    Program,
    RequestKind,
    TaskPlace,
)
from orchestrator.metrics.shared import SharedRows

_REQUESTS = {
    "GET": RequestKind.READ,
    "POST": RequestKind.CREATE,
    "PUT": RequestKind.UPDATE,
    "DELETE": RequestKind.DELETE,
}


class WorkerMetrics:
    """The values of all metrics of a worker's process."""

    def __init__(self) -> None:
        self.cells = cells = Cells(Program.WORKER)
        self._requests = {
            method: cells.histogram(Metric.WORKER_REQUEST, kind)
            for method, kind in _REQUESTS.items()
        }
        self._answers = {
            kind: cells.number(Metric.WORKER_ANSWERS, kind)
            for kind in AnswerKind
        }
        self.chain = cells.histogram(Metric.WORKER_CHAIN)
        self.poll = cells.histogram(Metric.WORKER_POLL)
        self.slots = cells.number(Metric.WORKER_SLOTS)
        self.tasks = {
            place: cells.number(Metric.WORKER_TASKS, place)
            for place in TaskPlace
        }
        self._rows: SharedRows | None = None
        self._server: ThreadingHTTPServer | None = None

    def note_request(self, method: str, status: int, seconds: float) -> None:
        """Heat was asked.

        :param status: of HTTP; 0: there was no answer.
        """
        self._requests[method].observe(seconds)
        kind = AnswerKind.DONE
        if status >= 500 or not status:
            kind = AnswerKind.FAILED
        elif status >= 400:
            kind = AnswerKind.REFUSED
        self._answers[kind].add()

    # The processes of a worker --------------------------------------------------------------------

    def serve(self, address: str, port: int) -> None:
        """Answer ``/metrics``, in the first process of the worker, before it forks.

        :raises SettingsError: nobody can listen there.
        """
        # Only the process that shows values needs prometheus_client.
        from orchestrator.metrics.serving import metrics_page, serve
        from orchestrator.metrics.showing import Exposition

        self._rows = SharedRows(Program.WORKER)
        self.count_as(-1)
        shown = Exposition(Program.WORKER, self._rows.used)
        setting = "ORCHESTRATOR_WORKER_METRICS_PORT"
        pages = {"/metrics": metrics_page(shown.text)}
        self._server = serve(pages, address, port, setting)

    @property
    def port(self) -> int:
        """The port of ``/metrics``; 0 if it is not answered."""
        return self._server.server_address[1] if self._server else 0

    def count_as(self, index: int) -> None:
        """Count in the row of a process from now on.

        :param index: of the process in Celery's pool; -1: the first process.
        """
        if self._rows is None:
            return
        row = self._rows.row(index + 1)
        self.cells.keep_in(row)
        first = layout(Program.WORKER).at[
            Metric.WORKER_EVENTS, next(iter(EventName)).value
        ]
        COUNTS.keep_in(row, first)
        if index >= 0 and self._server is not None:
            # Inherited by the fork; the port is the first process's.
            self._server.socket.close()
            self._server = None
