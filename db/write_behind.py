"""Writing behind: what a server writes while this process reads and decides what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy.orm import Session


class WriteBehind:
    """Writes of one session that a server carries out while the caller goes on reading through another session.

    Foreign keys are most of what a row costs there, and nobody has to wait for them. SQLite works in this process and
    has one writer: there both sessions are the same one, and a write is done when `write` returns.
    """

    def __init__(self, session: Session, reading: Session, thread: Executor | None) -> None:
        self.session = session
        """To be used after `settle` only."""
        self.reading = reading
        """Does not see what `session` wrote."""
        self._thread = thread
        self._pending: Future[None] | None = None

    def write(self, write: Callable[[Session], None]) -> None:
        """Have `write` called with the session: one after another, in order. Raises what an earlier one raised."""
        self.settle()
        if self._thread is None:
            write(self.session)
        else:
            self._pending = self._thread.submit(write, self.session)

    def settle(self) -> Session:
        """Wait until all is written, and return the session. Raises what the write raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
        return self.session


@contextmanager
def writing_behind(session: Session) -> Iterator[WriteBehind]:
    """Let long writes of `session` overlap with reading; when the block ends without an error, all is written."""
    bind = session.get_bind()
    if bind.dialect.name != "postgresql":
        yield WriteBehind(session, session, None)
        return
    # The thread ends before the caller ends the transaction, even where the block fails.
    with Session(bind) as reading, reading.begin(), ThreadPoolExecutor(1, "write-behind") as thread:
        behind = WriteBehind(session, reading, thread)
        yield behind
        behind.settle()
