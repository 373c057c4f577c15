"""A TCP proxy that cuts, holds, delays and resets, or lets requests through and loses the answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from enum import StrEnum

_POLL = 0.02


class Mode(StrEnum):
    """What happens to the bytes."""

    OPEN = "open"
    CUT = "cut"
    """Connections are reset, and new ones too."""
    HOLD = "hold"
    """Nothing passes, in either direction; what has been held passes when the mode changes, unless its sender has gone."""
    DELAY = "delay"
    """Everything is late."""
    DEAF = "deaf"
    """Requests pass; the connection is reset when the answer comes."""


class Loop:
    """One event loop in a thread of its own, for all links."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    @staticmethod
    async def _cancel_all() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Link:
    """From one client to one server: ``127.0.0.1:port`` leads to *target*."""

    def __init__(self, loop: Loop, name: str, target: int) -> None:
        self.name, self._target = name, target
        self.mode = Mode.OPEN
        self.delay = 0.0
        self.lost_answers = 0
        self._loop = loop.loop
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(5)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def set(self, mode: Mode, delay: float = 0.0) -> None:
        """From now on."""
        self.mode, self.delay = mode, delay
        if mode is Mode.CUT:
            self.reset()

    def reset(self) -> None:
        """Reset every connection there is, once."""
        self._loop.call_soon_threadsafe(self._reset)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self.reset()

    def _reset(self) -> None:
        for pair in list(self._open):
            abort(pair)

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve_pair(reader, writer, lambda: False)

    async def _serve_pair(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, barred: Callable[[], bool]
    ) -> None:
        """Pass on what one connection says, in both directions.

        :param barred: whether this connection alone is held.
        """
        if self.mode is Mode.CUT:
            _abort(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _abort(writer)
            return
        pair = (writer, up_writer)
        self._open.add(pair)
        try:
            await asyncio.gather(
                self._pump(reader, up_writer, reader, barred, answers=False),
                self._pump(up_reader, writer, reader, barred, answers=True),
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(pair)
            for each in pair:
                _abort(each)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        client: asyncio.StreamReader,
        barred: Callable[[], bool],
        *,
        answers: bool,
    ) -> None:
        while data := await source.read(65536):
            if self.mode is Mode.DELAY:
                await asyncio.sleep(self.delay)
            while self.mode is Mode.HOLD or barred():
                await asyncio.sleep(_POLL)
                if client.at_eof():
                    raise ConnectionResetError
            if answers and self.mode is Mode.DEAF:
                self.lost_answers += 1
                raise ConnectionResetError
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError  # one side has closed: so does the other


def abort(pair: Iterable[asyncio.StreamWriter]) -> None:
    """Reset both sides of a connection."""
    for writer in pair:
        _abort(writer)


def _abort(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    writer.transport.abort()
