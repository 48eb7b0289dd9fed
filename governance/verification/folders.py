"""Verification of folders and of thousands of files: found in order, verified in parallel, told in order.

Paths are taken from the folders as they are needed and verdicts given out as they come, so memory depends on the
number of processes, not on that of files. The processes are started afresh: a context of the library is not
valid after a fork.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from db.errors import UndecidedError
from governance.trust.anchors import TrustAnchors
from governance.verification.kinds import can_carry, sidecar_of
from governance.verification.verdict import Verdict
from governance.verification.verify import Recover, verify_file

# Starting a process takes as long as verifying some 40 small clips (docs/benchmarks.md).
_FEW_FILES = 64
_FILES_PER_TASK = 8
_TASKS_PER_PROCESS = 3


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked about every file."""

    trust: TrustAnchors
    weights: Path | None = None
    snapshot_document: Path | None = None
    recover: Recover | None = None
    """Must travel to another process: a function of a module, or a method of a picklable object."""

    def verify(self, path: Path) -> Verdict:
        """Verify one file."""
        return verify_file(
            path,
            self.trust,
            weights=self.weights,
            snapshot_document=self.snapshot_document,
            recover=self.recover,
        )


class FoundFiles:
    """The files that were named, and those of the folders that were named that can carry credentials."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.num_skipped = 0
        """Files of other kinds that were passed over so far, without hidden ones."""

    def __iter__(self) -> Iterator[Path]:
        """Yield files as named; below a folder by name, without hidden ones and links to folders.

        What cannot be read is yielded as well: that is for the verdict to say.
        """
        for path in self._paths:
            if is_folder(path):
                yield from self._below(path)
            else:
                yield path

    def _below(self, folder: Path) -> Iterator[Path]:
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            try:
                entries = sorted(os.scandir(current), key=lambda entry: entry.name)
            except OSError:
                yield current
                continue
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            folders = [Path(entry.path) for entry in visible if entry.is_dir(follow_symlinks=False)]
            waiting += reversed(folders)
            for entry in visible:
                if entry.is_file():
                    yield from self._worth_verifying(Path(entry.path))

    def _worth_verifying(self, path: Path) -> Iterator[Path]:
        try:
            is_worth = can_carry(path)
        except OSError:
            is_worth = True
        if is_worth:
            yield path
        elif not _is_sidecar(path):
            self.num_skipped += 1


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; what cannot be asked, such as a name that is too long, is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_sidecar(path: Path) -> bool:
    """Whether `path` lies beside the file that it speaks for."""
    return sidecar_of(path.with_suffix("")) == path and path.with_suffix("").is_file()


def verify_all(
    paths: Iterable[Path], request: Request, *, num_processes: int
) -> Generator[Verdict, None, None]:
    """Yield the verdict on each of `paths`, in their order.

    A few files, or `num_processes` of 1, are verified in this process. If the caller stops, or is interrupted,
    the other processes are ended at once.

    Raises `UndecidedError` if a process was killed from outside.
    """
    remaining = iter(paths)
    first = list(itertools.islice(remaining, _FEW_FILES))
    if num_processes == 1 or len(first) < _FEW_FILES:
        yield from map(request.verify, itertools.chain(first, remaining))
        return
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        num_processes, multiprocessing.get_context("spawn"), _begin, initargs=(request,)
    )
    try:
        yield from _verify_in(executor, itertools.chain(first, remaining), num_processes * _TASKS_PER_PROCESS)
    except BrokenProcessPool as exc:
        raise UndecidedError("a verifying process was killed", hint="try with --jobs 1") from exc
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _verify_in(executor: ProcessPoolExecutor, paths: Iterator[Path], max_tasks: int) -> Iterator[Verdict]:
    tasks: deque[Future[list[Verdict]]] = deque()
    for batch in iter(lambda: list(itertools.islice(paths, _FILES_PER_TASK)), []):
        tasks.append(executor.submit(_verify_batch, batch))
        if len(tasks) == max_tasks:
            yield from tasks.popleft().result()
    for task in tasks:
        yield from task.result()


_requests: list[Request] = []
"""Of a process of the pool: the one that it was started with."""


def _begin(request: Request) -> None:
    """Prepare a process of the pool. An interruption is for the process that started it to see."""
    _requests.append(request)
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _verify_batch(paths: Sequence[Path]) -> list[Verdict]:
    (request,) = _requests
    return [request.verify(path) for path in paths]
