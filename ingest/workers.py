"""Workers: independent work on several processes of this machine, one for each core.

A worker process prepares itself once (an encoder takes a second to open) and then takes one item after the other.
Outcomes come in the order in which they are known. A worker that dies (a codec crashes, memory runs out) takes nothing
with it: what it was working on is tried once more, alone, so that only the item that is to blame is given up.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from queue import SimpleQueue
from threading import Thread
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from db.errors import UndecidedError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_ITEMS_EACH = 2
"""Under way at a worker: one in work, and one that waits there, so that nobody is idle while this process is busy."""
_PATIENCE_SECONDS = 3.0
"""That a worker has to remove its temporary files when it is told to end."""


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Done(Generic[ItemT, ResultT]):
    """An item and what became of it."""

    item: ItemT
    result: ResultT


@dataclass(frozen=True)
class Crashed(Generic[ItemT]):
    """An item that two workers died over, the second of which had nothing else to do."""

    item: ItemT
    how: str
    """How the second one died, such as `signal SIGSEGV`."""


class _Prepared:
    """A worker is ready."""


@dataclass(frozen=True)
class _Success:
    """What a worker did."""

    result: Any


@dataclass(frozen=True)
class _Failure:
    """Why a worker could not do it."""

    error: Exception


@dataclass(eq=False)
class _Worker(Generic[ItemT]):
    """One process as its parent sees it."""

    process: SpawnProcess
    connection: Connection
    items: deque[ItemT] = field(default_factory=deque)
    """Given and not answered; the first is in work."""
    is_prepared: bool = False


class Crew(Generic[ItemT, ResultT]):
    """Up to `num_workers` processes that call `task(item)`, each after it called `prepare(*arguments)`.

    `task` and `prepare` are functions of a module, for another process to find them; whatever travels is pickled. Use
    it as a context: at the end of the block, however it ends, the processes are told to leave at once. They are started
    when there is something to do, and end by themselves should this process be killed.
    """

    def __init__(
        self,
        task: Callable[[ItemT], ResultT],
        *,
        num_workers: int,
        prepare: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> None:
        self._duty = (task, prepare, arguments)
        self._num_workers = num_workers
        self._workers: list[_Worker[ItemT]] = []
        self._suspects: deque[ItemT] = deque()
        """Items over which a worker died."""
        self._known: deque[Done[ItemT, ResultT] | Crashed[ItemT]] = deque()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes, whatever they are doing."""
        self._end_all()

    @property
    def num_under_way(self) -> int:
        """Items that were given and whose outcome was not fetched."""
        given = sum(len(worker.items) for worker in self._workers)
        return given + len(self._suspects) + len(self._known)

    @property
    def is_full(self) -> bool:
        """Whether an outcome should be fetched before the next item is given: memory is bounded by that."""
        return self.num_under_way >= _ITEMS_EACH * self._num_workers

    def give(self, item: ItemT) -> None:
        """Hand an item to the worker who has least to do."""
        idlest = min(self._workers, key=lambda worker: len(worker.items), default=None)
        if idlest is None or (idlest.items and len(self._workers) < self._num_workers):
            idlest = self._start()
        self._send(idlest, item)

    def is_known(self) -> bool:
        """Return whether there is an outcome to be fetched without waiting."""
        for connection in wait([worker.connection for worker in self._workers], timeout=0):
            self._hear(connection)
        return bool(self._known)

    def outcome(self) -> Done[ItemT, ResultT] | Crashed[ItemT]:
        """Wait for the next outcome; something must be under way.

        Raises what `task` or `prepare` raised, and `UndecidedError` if a worker dies before it is prepared.
        """
        while not self._known:
            busy = [worker.connection for worker in self._workers if worker.items]
            if not busy:
                self._try_alone(self._suspects.popleft())
                continue
            for connection in wait(busy):
                self._hear(connection)
        return self._known.popleft()

    def _start(self) -> _Worker[ItemT]:
        # A forked child would inherit the locks and threads of torch and OpenMP in whatever state they are.
        context = get_context("spawn")
        mine, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        with _interruption_held(), theirs:
            process.start()
        worker: _Worker[ItemT] = _Worker(process, mine)
        self._workers.append(worker)
        mine.send(self._duty)
        return worker

    def _send(self, worker: _Worker[ItemT], item: ItemT) -> None:
        worker.items.append(item)
        # Should the worker be dead, `outcome` finds out.
        with suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send((item,))

    def _hear(self, connection: object) -> None:
        """Take the next message of a worker."""
        (worker,) = (each for each in self._workers if each.connection is connection)
        message = _next_message(worker.connection)
        if message is None:
            self._lose(worker)
        else:
            self._take(worker, message)

    def _take(self, worker: _Worker[ItemT], message: _Prepared | _Success | _Failure) -> None:
        worker.is_prepared = True
        if isinstance(message, _Failure):
            raise message.error
        if isinstance(message, _Success):
            self._known.append(Done(worker.items.popleft(), message.result))

    def _lose(self, worker: _Worker[ItemT]) -> None:
        """Take a dead worker's items back."""
        self._bury(worker)
        if worker.items:
            self._suspects.append(worker.items.popleft())
        for item in worker.items:
            self.give(item)

    def _try_alone(self, item: ItemT) -> None:
        """Work on an item in a fresh process while no other is there to take memory from it."""
        self._end_all()
        worker = self._start()
        self._send(worker, item)
        while worker.items:
            message = _next_message(worker.connection)
            if message is None:
                worker.items.clear()
                self._known.append(Crashed(item, self._bury(worker)))
            else:
                self._take(worker, message)

    def _bury(self, worker: _Worker[ItemT]) -> str:
        """Forget a dead worker; return how it died. Raises `UndecidedError` if that is no item's fault."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if not worker.is_prepared:
            raise UndecidedError(
                f"a worker process died before it began ({how})",
                hint="if memory ran out, close other programs and run the same command again",
            )
        return how

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE_SECONDS)
            worker.process.kill()
            worker.process.join()
            worker.process.close()
            worker.connection.close()
        self._workers.clear()


def worked(
    task: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    *,
    num_workers: int,
    prepare: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Iterator[ResultT]:
    """Yield `task(item)` of every item, from processes that each called `prepare(*arguments)` first: see `Crew`.

    Only twice as many items as there are workers are under way at a time. An error in a worker is raised here, and
    `UndecidedError` where a worker dies twice over one item; what waits is then given up. With one worker all is done
    in this process, in order.
    """
    if num_workers == 1:
        prepare(*arguments)
        yield from map(task, items)
        return
    with Crew(task, num_workers=num_workers, prepare=prepare, arguments=arguments) as crew:
        for item in items:
            if crew.is_full:
                yield _result(crew.outcome())
            crew.give(item)
        while crew.num_under_way:
            yield _result(crew.outcome())


def _result(outcome: Done[ItemT, ResultT] | Crashed[ItemT]) -> ResultT:
    if isinstance(outcome, Crashed):
        raise UndecidedError(
            f"a worker process died twice over the same work ({outcome.how})",
            hint="if memory ran out, use fewer workers",
        )
    return outcome.result


@contextmanager
def _interruption_held() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: processes started meanwhile never get it, and this one does afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    ensure_running()  # or it is started inside the block, and lets signals through when it is
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next_message(connection: Connection) -> _Prepared | _Success | _Failure | None:
    """Wait for what a worker says next; None if it has died."""
    try:
        message: _Prepared | _Success | _Failure = connection.recv()
    except (EOFError, OSError):
        return None
    return message


def _work(connection: Connection) -> None:
    """Be a worker."""
    signal.signal(signal.SIGTERM, _leave)
    # One core for each: threads of several workers would fight for them. Read when the libraries are loaded, which
    # happens no sooner than the duty is unpickled.
    os.environ["OMP_NUM_THREADS"] = "1"
    task, prepare, arguments = connection.recv()
    items: SimpleQueue[tuple[Any]] = SimpleQueue()
    Thread(target=_receive, args=(connection, items), name="receive", daemon=True).start()
    ready = _answer(prepare, *arguments)
    connection.send(ready if isinstance(ready, _Failure) else _Prepared())
    while True:
        connection.send(_answer(task, *items.get()))


def _leave(_number: int, _frame: FrameType | None) -> None:
    # As an exception, so that temporary files are removed on the way out.
    raise SystemExit(0)


def _receive(connection: Connection, items: SimpleQueue[tuple[Any]]) -> None:
    """Pass items on. The pipe ends when the parent is no more, killed or not: then nobody wants an answer."""
    with suppress(EOFError, OSError):
        while True:
            items.put(connection.recv())
    os._exit(0)


def _answer(function: Callable[..., Any], *arguments: Any) -> _Success | _Failure:
    try:
        return _Success(function(*arguments))
    except Exception as exc:  # noqa: BLE001 - the edge of this process: it is raised again in the parent.
        exc.add_note("in a worker process:\n" + "".join(traceback.format_exception(exc)))
        return _Failure(_portable(exc))


def _portable(error: Exception) -> Exception:
    """Return `error`, or where it cannot travel another one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled here a moment ago.
    except Exception:  # noqa: BLE001 - whatever an error does when it is pickled, it must not end the worker.
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
