"""Caption words and their ids: the whole of the text side, learned from the snapshot's captions alone.

No pretrained text encoder is used, because those were trained on scraped text and images, which would enter
the lineage of every clip. The price is that a prompt works by the words that captions contain; others are
reported.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable

PADDING_ID = 0
"""Fills the places after the last word; carries no meaning and is masked out of attention."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words_of(caption: str) -> list[str]:
    """Split a caption into lower-case words of letters and digits, in order."""
    return _WORD.findall(caption.casefold())


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The known words; the id of `words[i]` is `i + 1`, because 0 is padding."""

    words: tuple[str, ...]
    _ids: dict[str, int] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {word: number for number, word in enumerate(self.words, start=1)})

    @property
    def num_ids(self) -> int:
        """Rows of the embedding table, padding included."""
        return len(self.words) + 1

    def encode(self, caption: str, max_words: int) -> list[int]:
        """Return exactly `max_words` ids: the first known words of `caption`, then padding.

        Unknown words are left out; `unknown_words` names them, so that a command can say so.
        """
        known = [self._ids[word] for word in words_of(caption) if word in self._ids][:max_words]
        return known + [PADDING_ID] * (max_words - len(known))

    def unknown_words(self, caption: str) -> tuple[str, ...]:
        """Name the words of `caption` that no training caption contained, each once, in order."""
        return tuple(dict.fromkeys(word for word in words_of(caption) if word not in self._ids))


def build_vocabulary(captions: Iterable[str], max_size: int = 8192) -> Vocabulary:
    """Collect the `max_size` most frequent words, most frequent first, equals in alphabetical order."""
    counts = collections.Counter(word for caption in captions for word in words_of(caption))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return Vocabulary(tuple(ranked[:max_size]))
