"""Words about AI in fields that people fill in: not a protocol, but not to be passed over. Pure.

A phrase of the protocol list makes the field conditional: what it means is for a person to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.text import quoted

_WORD = re.compile(r"\w+")
MAX_TEXT = 256 << 10
"""Characters of one field that are searched; a longer one counts as mentioned."""


def mentioned_phrase(text: str) -> str | None:
    """Return the first phrase of the protocol list that stands in `text`, whatever its case and punctuation."""
    spaced = _spaced(text[:MAX_TEXT])
    return next((phrase for phrase in protocol_list().phrases if _spaced(phrase) in spaced), None)


def text_signal(texts: Iterable[str], source: Source) -> Signal | None:
    """Return a conditional signal if any of `texts` speaks of AI or mining; None if none does."""
    protocol = protocol_list()["free_text"]
    for text in texts:
        phrase = mentioned_phrase(text)
        if phrase is None and len(text) > MAX_TEXT:
            phrase = "a text too long to be searched"
        if phrase is not None:
            return protocol.signal(source, protocol.statements["mentioned"], f"{phrase}: {quoted(text, 400)}")
    return None


def _spaced(text: str) -> str:
    """Return the words of `text` between single spaces, so that a phrase is a part of it or is not."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    return f" {' '.join(_WORD.findall(folded))} "
