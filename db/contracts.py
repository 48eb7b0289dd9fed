"""What a grant of a catalogue says beyond a row of a rights table (pure). Unstated is never taken for allowed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from db.vocabularies import OutputConstraint, PostTermination, Purpose, Tri, Use


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Terms of one grant. Empty and `UNKNOWN` mean that the catalogue says nothing."""

    agreement_ref: str = ""
    """The agreement that the grant stands in."""
    licensor_ref: str = ""
    """The party that gives it."""
    upstream_ref: str = ""
    """The grant that the licensor himself relies on; empty: none is needed or none is stated."""
    prohibited_uses: tuple[Use, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    """What the footage may be used for; empty: not limited."""
    territories_out: tuple[str, ...] = ()
    """Where the grant does not hold, of the territories that it names."""
    is_exclusive: Tri = Tri.UNKNOWN
    commercial_use: Tri = Tri.UNKNOWN
    """`NO`: non-commercial."""
    derivatives: Tri = Tri.UNKNOWN
    """`NO`: no derivatives."""
    share_alike: Tri = Tri.UNKNOWN
    attribution: Tri = Tri.UNKNOWN
    model_scope: tuple[str, ...] = ()
    """Names of the models it is limited to; empty: any."""
    output_constraints: tuple[OutputConstraint, ...] = ()
    post_termination: PostTermination = PostTermination.NOT_STATED
    time_zone: str = ""
    """IANA name of the zone in which the licensor's dates were meant."""

    def as_json(self) -> dict[str, Any]:
        """Return what is stated, and nothing else: a grant that adds nothing has the same digest as ever."""
        stated = {
            item.name: _plain(getattr(self, item.name))
            for item in fields(self)
            if getattr(self, item.name) != item.default
        }
        return dict(sorted(stated.items()))

    @classmethod
    def from_json(cls, stated: dict[str, Any]) -> Contract:
        """Read what `as_json` wrote."""
        return cls(**{name: _READ[name](value) for name, value in stated.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


_READ: dict[str, Any] = {
    "agreement_ref": str,
    "licensor_ref": str,
    "upstream_ref": str,
    "prohibited_uses": lambda items: tuple(map(Use, items)),
    "purposes": lambda items: tuple(map(Purpose, items)),
    "territories_out": tuple,
    "is_exclusive": Tri,
    "commercial_use": Tri,
    "derivatives": Tri,
    "share_alike": Tri,
    "attribution": Tri,
    "model_scope": tuple,
    "output_constraints": lambda items: tuple(map(OutputConstraint, items)),
    "post_termination": PostTermination,
    "time_zone": str,
}

NOTHING_MORE: Contract = Contract()


@dataclass(frozen=True, kw_only=True)
class Span:
    """Seconds within an asset, end exclusive; `None` where it is open."""

    start_seconds: float | None = None
    end_seconds: float | None = None

    def covers(self, start_seconds: float, end_seconds: float) -> bool:
        """Return whether every second of the other span is in this one."""
        begins = self.start_seconds is None or self.start_seconds <= start_seconds
        ends = self.end_seconds is None or end_seconds <= self.end_seconds
        return begins and ends

    def touches(self, start_seconds: float, end_seconds: float) -> bool:
        """Return whether the two spans share any second."""
        begins = self.start_seconds is None or self.start_seconds < end_seconds
        ends = self.end_seconds is None or start_seconds < self.end_seconds
        return begins and ends


WHOLE: Span = Span()
