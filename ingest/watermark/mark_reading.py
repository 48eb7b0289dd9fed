"""What any method that hides an id in the picture reads from a film."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MarkReading:
    """What was read."""

    mark_id: int | None
    """None: no mark was found, which does not prove that there is none."""
    false_positive_bound: float | None
    """Chance that a film without a mark is read as having one, at most; None: nobody has shown it."""
    seconds_read: float
    num_frames: int

    @property
    def is_found(self) -> bool:
        """Whether an id was read."""
        return self.mark_id is not None
