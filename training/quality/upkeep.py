"""Upkeep: the card beside a clip, made or renewed only where it has to be.

A card stands as long as the clip has the same bytes and this version would measure the same way with the same encoder.
When it is renewed, what only the maker of the clip could know (compute, screen, oversight) is carried over, as long as
the bytes are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.media.digests import file_digest
from training.quality.card import QualityCard, card_path, read_card, write_card
from training.quality.concerns import concerns
from training.quality.measuring import measure_quality

if TYPE_CHECKING:
    from ingest.encoders.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Price:
    """What an hour of the machine costs."""

    per_hour: float
    currency: str


@dataclass(frozen=True, kw_only=True)
class KeptCard:
    """A clip and its card."""

    clip: Path
    card: QualityCard
    is_new: bool
    """False: the card that lay there says the same."""


def keep_card(
    clip: Path,
    encoder: Encoder | None,
    *,
    price: Price | None = None,
    is_written: bool = True,
    on_frame: Callable[[int], None] | None = None,
) -> KeptCard:
    """Return the card of `clip`, measured only where no current one lies beside it, and write what is new.

    A `price` gives the time in the card's compute record a cost.
    Raises as `measure_quality` does, and `NotMeasurable` if what lies in the card's place is no card.
    """
    path = card_path(clip)
    old = read_card(path) if path.exists() else None
    if old is not None and old.facts.sha256 != file_digest(clip).sha256:
        old = None
    encoder_digest = None if encoder is None else encoder.identity.digest
    if old is not None and old.is_current and old.encoder_digest == encoder_digest:
        card = old
    else:
        card = measure_quality(
            clip,
            encoder=encoder,
            compute=old.compute if old else None,
            screen=old.screen if old else None,
            oversight=old.oversight if old else None,
            on_frame=on_frame,
        )
    if price is not None:
        card = _priced(card, price)
    is_new = card != old
    if is_new and is_written:
        write_card(card, path)
    return KeptCard(clip=clip, card=card, is_new=is_new)


def _priced(card: QualityCard, price: Price) -> QualityCard:
    if card.compute is None:
        return card
    compute = card.compute.priced(price.per_hour, price.currency)
    said = concerns(card.measures, compute, card.screen, card.oversight)
    return dataclasses.replace(card, compute=compute, concerns=said)
