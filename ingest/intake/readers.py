"""Readers: files are read here, or by several processes once a second one waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from db.project import Project, Settings
from ingest.encoders.compute import Compute, choose_compute
from ingest.encoders.encoder import Encoder, open_encoder
from ingest.errors import EncoderError
from ingest.intake.readahead import read_ahead
from ingest.intake.reading import FileRead, FileToRead, FileUnread, Frames, Reader
from ingest.workers import Crashed, Crew, num_cores

Opener = Callable[[], Encoder]
"""Opens an encoder in another process: a function or class of a module, or a `partial` of one."""

_reader: Reader | None = None
"""Of this process, if it is a worker."""


def num_readers(compute: Compute) -> int:
    """Return how many processes should read files: one for each core, but one for a GPU."""
    return 1 if compute.device.type == "cuda" else num_cores()


class Readers:
    """Reads files with an encoder of this process, or with `num_workers` others that each call `opener`.

    Others are started when a second file waits for the first, and end with the context.
    """

    def __init__(
        self, project: Project, encoder: Encoder, *, num_workers: int, opener: Opener | None
    ) -> None:
        folder, settings = project.vectors, project.settings
        # On one core a thread that decodes only takes it from the one that embeds.
        paced = read_ahead if num_cores() > 1 else _as_they_come
        self._reader = Reader(folder, settings, encoder, paced=paced)
        self._num_workers = num_workers
        self._waiting: deque[FileToRead] = deque()
        """Given, while there are no other processes."""
        self._crew: Crew[FileToRead, FileRead | FileUnread] = Crew(
            _read,
            num_workers=num_workers,
            prepare=_prepare,
            arguments=(
                folder,
                settings,
                opener or partial(_configured_encoder, settings.encoder),
                encoder.identity.digest,
            ),
        )

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes, whatever they are doing."""
        self._crew.__exit__(kind, error, trace)

    @property
    def num_under_way(self) -> int:
        """Files that were given and whose outcome was not fetched."""
        return len(self._waiting) + self._crew.num_under_way

    @property
    def is_full(self) -> bool:
        """Whether an outcome should be fetched before the next file is given."""
        return self._crew.is_full or len(self._waiting) == self._num_workers == 1

    def give(self, file: FileToRead) -> None:
        """Have a file read."""
        self._waiting.append(file)
        if self._num_workers > 1 and self.num_under_way > 1:
            while self._waiting:
                self._crew.give(self._waiting.popleft())

    def is_known(self) -> bool:
        """Return whether there is an outcome to be fetched without waiting."""
        return self._crew.is_known()

    def outcome(self) -> tuple[FileToRead, FileRead | FileUnread]:
        """Wait for the next file that was read; one must have been given."""
        if not self._crew.num_under_way:
            file = self._waiting.popleft()
            return file, self._reader.read(file)
        outcome = self._crew.outcome()
        if isinstance(outcome, Crashed):
            detail = f"{outcome.item.path}: two processes died while they read it ({outcome.how})"
            return outcome.item, FileUnread(code="media.crashed", detail=detail)
        return outcome.item, outcome.result


def _as_they_come(frames: Frames) -> Frames:
    return frames


def _configured_encoder(spec: str) -> Encoder:
    return open_encoder(spec, choose_compute()).encoder


def _prepare(vectors: Path, settings: Settings, opener: Opener, encoder_digest: str) -> None:
    """Become a worker."""
    global _reader  # noqa: PLW0603 - a worker keeps the encoder it opened from file to file.
    encoder = opener()
    if encoder.identity.digest != encoder_digest:
        raise EncoderError("the encoder changed while it served", hint="run the same command again")
    _reader = Reader(vectors, settings, encoder, paced=_as_they_come)


def _read(file: FileToRead) -> FileRead | FileUnread:
    assert _reader is not None, "a worker calls `_prepare` first"
    return _reader.read(file)
