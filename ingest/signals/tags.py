"""Tags of the container and its tracks: QuickTime metadata, `udta` texts, Matroska tags, read by FFmpeg.

A tag whose name is that of PLUS Data Mining or of a TDM reservation is read as that; in the others, words about AI
make the file conditional, except in tags that name the work or the tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO

from ingest.errors import MediaError
from ingest.media.container import opened_video
from ingest.signals.free_text import text_signal
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.tdmrep import effective_signal, reservation_of_values
from ingest.signals.text import bytes_of, quoted
from ingest.signals.xmp import mining_reading

_NOT_NAME = re.compile(r"[^a-z0-9]+")
_MAX_TAGS = 10_000


def tag_signals(stream: IO[bytes], name: str) -> list[Signal]:
    """Return what the tags of the film in `stream` say; `name` is how messages call it.

    A file that cannot be opened gives a signal that could not be read: whatever it says is not known.
    """
    try:
        with opened_video(stream, name) as video:
            pairs = list(islice(_tags(video.container), _MAX_TAGS + 1))
    except MediaError as exc:
        source = Source(carrier="container", raw=b"")
        return [protocol_list()["media"].unreadable(source, f"{exc.code}: its tags cannot be read")]
    if len(pairs) > _MAX_TAGS:
        source = Source(carrier="container", raw=b"")
        return [protocol_list()["media"].unreadable(source, f"more than {_MAX_TAGS} tags")]
    return signals_of_tags(pairs)


def _tags(container: object) -> Iterator[tuple[str, str]]:
    holders = (container, *getattr(container, "streams", ()))
    for holder in holders:
        yield from getattr(holder, "metadata", {}).items()


def signals_of_tags(pairs: Iterable[tuple[str, str]]) -> list[Signal]:
    """Return what tags, as names and values, say."""
    skipped = protocol_list().skipped_tags
    signals: list[Signal] = []
    for key, value in dict.fromkeys(pairs):
        name = _NOT_NAME.sub("", key.lower())
        source = Source(
            carrier=f"container tag {quoted(key, 80)}",
            raw=bytes_of(f"{key}={value}"),
        )
        if name.endswith("datamining"):
            signals.append(protocol_list()["plus"].signal(source, mining_reading(value), quoted(value)))
        elif name.endswith("tdmreservation"):
            reservation = reservation_of_values([value], [], source)
            signals += [
                signal for signal in [effective_signal([reservation] if reservation else [])] if signal
            ]
        elif name.rpartition("quicktime")[2] not in skipped:
            found = text_signal([f"{key} {value}"], source)
            signals += [] if found is None else [found]
    return signals
