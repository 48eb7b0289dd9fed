"""Film edits of the attack maker: what is done to a film's times, and noise, which is new in every picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from db.errors import ConfigError
from ingest.attacks.film import Picture, clipped, exact_seconds


@dataclass(frozen=True)
class Excerpt:
    """Keep only `seconds` of the footage, from `start_seconds` after its first frame."""

    start_seconds: float
    seconds: float

    def over(self, film: Iterable[Picture]) -> Iterator[Picture]:
        """Yield that part of `film`; its second 0 is `start_seconds`, whatever picture was on then."""
        start = exact_seconds(self.start_seconds)
        return clipped(film, start, start + exact_seconds(self.seconds))


@dataclass(frozen=True)
class Speed:
    """Play the film `factor` times as fast, every picture kept."""

    factor: float

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise ConfigError(f"a film cannot be played {self.factor} times as fast")

    def over(self, film: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the pictures of `film` at their new times."""
        factor = exact_seconds(self.factor)
        for picture in film:
            yield replace(picture, begin=picture.begin / factor, end=picture.end / factor)


@dataclass(frozen=True)
class FrameRate:
    """Show at most `frames_per_second` pictures, evenly spaced: each is the one that was on at that moment."""

    frames_per_second: float

    def __post_init__(self) -> None:
        if not self.frames_per_second > 0:
            raise ConfigError(f"a film cannot have {self.frames_per_second} frames a second")

    def over(self, film: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the pictures that are kept; a still stays one picture."""
        rate = exact_seconds(self.frames_per_second)
        kept: Picture | None = None
        end = Fraction(0)
        for picture in film:
            end = picture.end
            # The first tick at or after its begin: it is seen there if it is still on by then.
            tick = -(-picture.begin * rate // 1) / rate
            if tick < picture.end:
                if kept is not None:
                    yield replace(kept, end=tick)
                kept = replace(picture, begin=tick)
        if kept is not None:
            yield replace(kept, end=end)


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise of this standard deviation, in grey levels of 255, drawn anew for every picture."""

    deviation: float
    seed: int = 0

    def over(self, film: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the noisy pictures; the same film and seed give the same noise."""
        generator = np.random.default_rng(self.seed)
        for picture in film:
            noise = generator.standard_normal(picture.image.shape, dtype=np.float32)
            noise *= self.deviation
            noise += picture.image
            yield replace(picture, image=np.clip(noise, 0, 255).astype(np.uint8))
