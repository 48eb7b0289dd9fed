"""Words about AI in rights fields."""

from __future__ import annotations

import pytest

from ingest.signals.free_text import MAX_TEXT, mentioned_phrase, text_signal
from ingest.signals.record import Source


@pytest.mark.parametrize(
    "text",
    [
        "Not for AI",
        "NO-AI",
        "noAI",
        "Licensee may not be\nused to  train  models.",
        "usage_terms: no_ai_training",
        "ＮＯ ＡＩ",  # noqa: RUF001 - letters of full width
        "Kein KI-Training",
        "Fouille de textes et de données interdite",
    ],
)
def test_phrases_are_found_whatever_their_writing(text: str) -> None:
    assert mentioned_phrase(text) is not None


@pytest.mark.parametrize(
    "text", ["", "All rights reserved", "Shot in Shanghai, no air", "Trained dogs", "Mainz"]
)
def test_other_words_are_not_taken_for_them(text: str) -> None:
    assert mentioned_phrase(text) is None


def test_a_text_too_long_to_be_searched_is_for_a_person() -> None:
    source = Source(carrier="test", raw=b"")
    assert text_signal(["word " * MAX_TEXT], source) is not None
