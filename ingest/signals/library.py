"""Recording what the files of the library say of their own use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import MediaError
from ingest.signals.intake import read_file_signals
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, numbered
from ingest.signals.recording import asset_scope

if TYPE_CHECKING:
    from db.project import Project

_SIDECAR = "sidecar"
_DIGEST_DIGITS = 16
CredentialsReader = Callable[[Path], Sequence[Signal]]


@dataclass(frozen=True, kw_only=True)
class FileSignals:
    """What one file said."""

    path: Path
    num_signals: int
    num_new: int
    detail: str = ""
    """Why it was not read; empty if it was."""


def record_file_signals(
    project: Project, files: Iterable[tuple[int, Path]], read_credentials: CredentialsReader
) -> Iterator[FileSignals]:
    """Read each file (asset id, path), record what it says and that it was asked, and yield it.

    Sidecars come and go while the film stays the same, so files that were read before are read again. What a file
    once said stays on record when its sidecar is gone: a reservation does not lapse by losing the paper. One file is
    one transaction.
    """
    from db.queries import get_asset
    from db.signals import add_reading, add_signals

    for asset_id, path in files:
        try:
            signals = tuple(numbered(map(_by_content, [*read_file_signals(path), *read_credentials(path)])))
        except (MediaError, OSError) as exc:
            yield FileSignals(path=path, num_signals=0, num_new=0, detail=str(exc))
            continue
        with project.session() as session:
            scope = asset_scope(get_asset(session, asset_id).sha256)
            num_new = add_signals(session, scope, [signal.as_row() for signal in signals])
            version = protocol_list().version
            add_reading(session, asset_id, protocols_version=version, num_signals=len(signals))
        yield FileSignals(path=path, num_signals=len(signals), num_new=num_new)


def _by_content(signal: Signal) -> Signal:
    """Call a sidecar by what it says, since the newest row of a carrier counts.

    Sidecars belong to paths, and the same bytes may lie at several: none of them speaks in another's place, and what
    one of them reserved stays reserved when it was written anew.
    """
    if not signal.carrier.startswith(_SIDECAR):
        return signal
    return dataclasses.replace(signal, carrier=f"{_SIDECAR} {signal.raw_sha256[:_DIGEST_DIGITS]}")
