"""The kinds of attack and how one of each kind is drawn: no two copies are disguised with the same settings."""

from __future__ import annotations

import enum
from collections.abc import Callable
from fractions import Fraction
from random import Random

from ingest.attacks.copies import (
    Blur,
    BlurredPadding,
    Caption,
    Corner,
    Crop,
    CropToAspect,
    FrameRate,
    Grey,
    Insert,
    Inset,
    Letterbox,
    Logo,
    Mirror,
    Noise,
    Recolour,
    Reencode,
    Resize,
    Rotate,
    Side,
    SideBySide,
    Speed,
    Transform,
)

_WORDS = (
    "amber argo bright canyon clip coast daily delta dream echo ember fable first garden harbour hello idea "
    "island july kite lark light magic maple meadow moment north ocean orbit pilot play prism quick river saffron "
    "scene story studio summer sunday tempo theatre tide today tonight travel unseen velvet watch willow wonder zenith"
).split()
_INSERT_SECONDS = (2.0, 4.0)


class AttackKind(enum.StrEnum):
    """A way of disguising a copy. Recall is told for each."""

    PLAIN = "plain"
    """Only encoded again, as by any upload."""
    COMPRESSED = "compressed"
    SHRUNK = "shrunk"
    CROPPED = "cropped"
    CROPPED_TALL = "cropped-tall"
    MIRRORED = "mirrored"
    MIRRORED_CROPPED = "mirrored-cropped"
    TURNED = "turned"
    LETTERBOXED = "letterboxed"
    BLURRED_PADDING = "blurred-padding"
    LOGO = "logo"
    CAPTION = "caption"
    RECOLOURED = "recoloured"
    GREY = "grey"
    BLURRED = "blurred"
    NOISY = "noisy"
    FASTER = "faster"
    SLOWER = "slower"
    FEWER_FRAMES = "fewer-frames"
    SHORT = "short"
    """An excerpt of two to three seconds."""
    INSERTED = "inserted"
    PICTURE_IN_PICTURE = "picture-in-picture"
    SIDE_BY_SIDE = "side-by-side"
    KITCHEN_SINK = "kitchen-sink"
    """Mirror, crop, colours, caption, speed and strong compression at once."""

    @property
    def is_hosted(self) -> bool:
        """Whether it needs a second film."""
        return self in {AttackKind.INSERTED, AttackKind.PICTURE_IN_PICTURE, AttackKind.SIDE_BY_SIDE}


def draw_edits(kind: AttackKind, random: Random) -> tuple[Transform, ...]:
    """Return the edits of one attack of this kind; the same state of `random` gives the same edits."""
    return _RECIPES[kind](random)


def fit_host(edits: tuple[Transform, ...], host_seconds: float) -> tuple[Transform, ...]:
    """Return `edits` with less of the host before and after an inserted copy where the host is too short for all."""
    return tuple(
        Insert(edit.before_seconds * share, edit.after_seconds * share)
        if isinstance(edit, Insert)
        and (share := host_seconds / (edit.before_seconds + edit.after_seconds)) < 1
        else edit
        for edit in edits
    )


def host_seconds_needed(edits: tuple[Transform, ...], seconds: float) -> float:
    """Return how long a host must be for `edits` of a copy of `seconds`; 0 if they need none."""
    for edit in edits:
        if isinstance(edit, Insert):
            return edit.before_seconds + edit.after_seconds
        if isinstance(edit, Inset | SideBySide):
            return seconds
    return 0.0


def _plain(random: Random) -> tuple[Transform, ...]:
    return (Reencode(random.randint(20, 25)),)


def _compressed(random: Random) -> tuple[Transform, ...]:
    return (Reencode(random.randint(33, 38)),)


def _shrunk(random: Random) -> tuple[Transform, ...]:
    return (Resize(_draw(random, 0.4, 0.65)),)


def _cropped(random: Random) -> tuple[Transform, ...]:
    return (_crop(random, 0.55, 0.75),)


def _cropped_tall(random: Random) -> tuple[Transform, ...]:
    return (CropToAspect(position=_draw(random, 0.4, 0.6)),)


def _mirrored(random: Random) -> tuple[Transform, ...]:
    return (Mirror(), *_plain(random))


def _mirrored_cropped(random: Random) -> tuple[Transform, ...]:
    return (Mirror(), _crop(random, 0.65, 0.85))


def _turned(random: Random) -> tuple[Transform, ...]:
    return (Rotate(random.choice((-1, 1)) * _draw(random, 3, 9)),)


def _letterboxed(random: Random) -> tuple[Transform, ...]:
    return (Letterbox(_draw(random, 0.12, 0.35)),)


def _blurred_padding(random: Random) -> tuple[Transform, ...]:
    aspect = random.choice((Fraction(9, 16), Fraction(9, 16), Fraction(4, 5)))
    return (BlurredPadding(aspect, _draw(random, 0.75, 1.0)),)


def _logo(random: Random) -> tuple[Transform, ...]:
    colour = (random.randrange(256), random.randrange(256), random.randrange(256))
    return (Logo(random.choice(_WORDS).upper(), _corner(random), _draw(random, 0.18, 0.34), colour),)


def _caption(random: Random) -> tuple[Transform, ...]:
    text = " ".join(random.sample(_WORDS, random.randint(2, 5)))
    return (Caption(text, top=random.choice((0.03, 0.7, 0.78, 0.8)), height=_draw(random, 0.12, 0.19)),)


def _recoloured(random: Random) -> tuple[Transform, ...]:
    return (
        Recolour(
            hue_degrees=random.choice((-1, 1)) * _draw(random, 25, 80),
            saturation=_draw(random, 0.6, 1.5),
            brightness=_draw(random, -0.12, 0.12),
            contrast=_draw(random, 0.8, 1.3),
        ),
    )


def _grey(random: Random) -> tuple[Transform, ...]:
    return (Grey(), *_plain(random))


def _blurred(random: Random) -> tuple[Transform, ...]:
    return (Blur(_draw(random, 0.006, 0.014)),)


def _noisy(random: Random) -> tuple[Transform, ...]:
    return (Noise(_draw(random, 15, 32), seed=random.getrandbits(32)),)


def _faster(random: Random) -> tuple[Transform, ...]:
    return (Speed(_draw(random, 1.1, 1.35)),)


def _slower(random: Random) -> tuple[Transform, ...]:
    return (Speed(_draw(random, 0.72, 0.92)),)


def _fewer_frames(random: Random) -> tuple[Transform, ...]:
    return (FrameRate(float(random.randint(8, 15))),)


def _inserted(random: Random) -> tuple[Transform, ...]:
    return (Insert(_draw(random, *_INSERT_SECONDS), _draw(random, *_INSERT_SECONDS)),)


def _picture_in_picture(random: Random) -> tuple[Transform, ...]:
    return (Inset(_draw(random, 0.34, 0.5), _corner(random), _draw(random, 0.0, 0.06)),)


def _side_by_side(random: Random) -> tuple[Transform, ...]:
    return (SideBySide(random.choice(list(Side))),)


def _kitchen_sink(random: Random) -> tuple[Transform, ...]:
    return (
        Mirror(),
        _crop(random, 0.72, 0.88),
        Recolour(_draw(random, -45, 45), _draw(random, 0.8, 1.3), _draw(random, -0.1, 0.1)),
        *_caption(random),
        Speed(random.choice((_draw(random, 0.85, 0.95), _draw(random, 1.06, 1.18)))),
        Reencode(random.randint(29, 34)),
    )


def _crop(random: Random, low: float, high: float) -> Crop:
    return Crop(_draw(random, low, high), x=_draw(random, 0.0, 1.0), y=_draw(random, 0.0, 1.0))


def _corner(random: Random) -> Corner:
    return random.choice(list(Corner))


def _draw(random: Random, low: float, high: float) -> float:
    return round(random.uniform(low, high), 3)


_RECIPES: dict[AttackKind, Callable[[Random], tuple[Transform, ...]]] = {
    AttackKind.PLAIN: _plain,
    AttackKind.COMPRESSED: _compressed,
    AttackKind.SHRUNK: _shrunk,
    AttackKind.CROPPED: _cropped,
    AttackKind.CROPPED_TALL: _cropped_tall,
    AttackKind.MIRRORED: _mirrored,
    AttackKind.MIRRORED_CROPPED: _mirrored_cropped,
    AttackKind.TURNED: _turned,
    AttackKind.LETTERBOXED: _letterboxed,
    AttackKind.BLURRED_PADDING: _blurred_padding,
    AttackKind.LOGO: _logo,
    AttackKind.CAPTION: _caption,
    AttackKind.RECOLOURED: _recoloured,
    AttackKind.GREY: _grey,
    AttackKind.BLURRED: _blurred,
    AttackKind.NOISY: _noisy,
    AttackKind.FASTER: _faster,
    AttackKind.SLOWER: _slower,
    AttackKind.FEWER_FRAMES: _fewer_frames,
    AttackKind.SHORT: _plain,
    AttackKind.INSERTED: _inserted,
    AttackKind.PICTURE_IN_PICTURE: _picture_in_picture,
    AttackKind.SIDE_BY_SIDE: _side_by_side,
    AttackKind.KITCHEN_SINK: _kitchen_sink,
}
