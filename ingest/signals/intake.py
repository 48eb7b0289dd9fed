"""What a file says of itself: XMP inside it, tags of its container, and `.xmp` files beside it.

Content Credentials are read where they are validated, above this package, and come in through
`credentials.signals_of_assertions`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ingest.errors import MediaError
from ingest.media.sources import printable_path
from ingest.signals.boxes import Break, find_packets, is_box_file
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source, numbered
from ingest.signals.safe_xml import MAX_XML_BYTES
from ingest.signals.tags import tag_signals
from ingest.signals.xmp import packet_signals

_SIDECAR = ".xmp"


def read_file_signals(path: Path) -> list[Signal]:
    """Return everything that the film at `path` and its sidecars say; an `.xmp` file is read as one.

    What cannot be read is a signal too. Raises `MediaError` (`media.unreadable`) if the film cannot be opened.
    """
    if path.suffix.lower() == _SIDECAR:
        return numbered(_sidecar(path))
    try:
        with path.open("rb") as stream:
            signals = [*_box_signals(stream), *tag_signals(stream, printable_path(path))]
    except OSError as exc:
        name = printable_path(path)
        raise MediaError(f"{name}: cannot be read: {exc.strerror or exc}", code="media.unreadable") from exc
    for sidecar in sidecars_of(path):
        signals += _sidecar(sidecar)
    return numbered(signals)


def sidecars_of(path: Path) -> list[Path]:
    """Return the sidecars of the film at `path` that exist: `NAME.ext.xmp`, then `NAME.xmp`, `.xmp` in any case."""
    endings = ["".join(letters) for letters in itertools.product(*({c, c.upper()} for c in _SIDECAR))]
    names = [
        f"{start}{ending}" for start in (path.name, path.stem) for ending in sorted(endings, reverse=True)
    ]
    found: list[Path] = []
    # Each spelling is asked for, since listing a folder for every film in it grows with the square of the folder.
    for name in dict.fromkeys(names):
        candidate = path.with_name(name)
        # Where case does not count in names, two of them are one file.
        if candidate.is_file() and not any(candidate.samefile(other) for other in found):
            found.append(candidate)
    return found


def _box_signals(stream: IO[bytes]) -> Iterator[Signal]:
    if not is_box_file(stream):
        return
    for found in find_packets(stream):
        if isinstance(found, Break):
            source = Source(carrier="MP4 boxes", raw=b"")
            yield protocol_list()["media"].unreadable(source, f"cannot be followed: {found.reason}")
        else:
            yield from packet_signals(Source(carrier=found.carrier, raw=found.raw))


def _sidecar(path: Path) -> list[Signal]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_XML_BYTES + 1)
    except OSError as exc:
        name = printable_path(path)
        raise MediaError(f"{name}: cannot be read: {exc.strerror or exc}", code="media.unreadable") from exc
    return packet_signals(Source(carrier="sidecar", raw=raw))
