"""One film, measured once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.training.quality.films import SHORT_FRAMES, film, write_film
from training.quality.card import QualityCard
from training.quality.measuring import measure_quality

if TYPE_CHECKING:
    from ingest.encoders.encoder import Encoder


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The embedded encoder."""
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder

    return open_encoder(None, choose_compute()).encoder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of film. Read only: copy what you change."""
    return write_film(tmp_path_factory.mktemp("clips") / "clip.mp4", film())


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of a second, for what does not depend on the film. Read only: copy what you change."""
    return write_film(tmp_path_factory.mktemp("clips") / "short.mp4", film(SHORT_FRAMES))


@pytest.fixture(scope="session")
def card(clip: Path, encoder: Encoder) -> QualityCard:
    """The card of `clip`."""
    return measure_quality(clip, encoder=encoder)
