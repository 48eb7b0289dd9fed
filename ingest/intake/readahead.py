"""Reading ahead: one thread decodes while another embeds. libav and torch both let other threads run meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


def read_ahead(items: Generator[T], *, max_waiting: int = 64) -> Generator[T]:
    """Yield `items`, made on a thread of their own that is at most `max_waiting` of them ahead.

    What `items` raises is raised here, after what was made before it. Whoever stops early closes this generator
    (`contextlib.closing`), which closes `items` and ends the thread.
    """
    worker = _Worker(items, max_waiting)
    worker.start()
    try:
        yield from worker.made()
    finally:
        worker.stop()


class _Worker(Thread, Generic[T]):
    def __init__(self, items: Generator[T], max_waiting: int) -> None:
        super().__init__(name="read-ahead", daemon=True)
        self._items = items
        self._made: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        self._room = Semaphore(max_waiting)
        self._is_stopped = False

    def run(self) -> None:
        try:
            with closing(self._items):
                for item in self._items:
                    self._room.acquire()
                    if self._is_stopped:
                        return
                    self._made.put((item,))
        except BaseException as exc:  # noqa: BLE001 - it is raised again on the thread that waits for it.
            self._made.put(exc)
        else:
            self._made.put(None)

    def made(self) -> Iterator[T]:
        while (entry := self._made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            self._room.release()
            yield entry[0]

    def stop(self) -> None:
        self._is_stopped = True
        self._room.release()
        self.join()
