"""Strips: pictures of a clip above the pictures it was found as, moment by moment, as PNG or HTML.

The pictures are decoded from the files themselves. Where the file of an asset is gone or has changed, the small grey
pictures that were kept of it are shown instead, and the strip says so.

Shapes: pictures are RGB HWC, uint8.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.errors import ConfigError
from db.files import write_durably
from db.terminal import clock_text, safe_text
from db.vocabularies import MatchTier
from ingest.encoders.encoder import EncoderIdentity
from ingest.errors import MediaError
from ingest.lookup.find import Occurrence, Query
from ingest.media.borders import content_box
from ingest.media.digests import file_digest
from ingest.media.frames import decode_clip
from ingest.media.probe import probe
from ingest.pictures.stills import Stills
from ingest.pictures.views import ViewBox

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image, ImageFont

SUFFIXES = (".png", ".html")
NUM_MOMENTS = 8
_PICTURE_SIDE = 320
_ONE_PASS_SECONDS = 60.0
"""A longer span is not decoded throughout for eight pictures: each is sought by itself."""
_SEEK_SECONDS = 2.0
_OUTLINE = (255, 200, 0)
_OUTLINE_PIXELS = 3
_TIER_WORDS = {
    MatchTier.EXACT: "the same file",
    MatchTier.HASH: "copy (hash)",
    MatchTier.VERIFIED: "copy (verified)",
    MatchTier.CANDIDATE: "candidate: a person must look",
    MatchTier.SAME_SCENE: "same scene, not a copy",
}


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture and when it is shown."""

    picture: NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """The pictures of one side."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Strip:
    """One occurrence: the same moments of both sides, one above the other."""

    title: str
    lines: tuple[str, ...]
    query: Row
    found: Row


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """All strips of one lookup."""

    title: str
    lines: tuple[str, ...]
    strips: tuple[Strip, ...]


def check_suffix(path: Path) -> None:
    """Raise `ConfigError` if strips cannot be written in the format that `path` asks for."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: strips are written as {' or '.join(SUFFIXES)}")


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a sheet in the format of the path's suffix; the file appears whole or not at all."""
    check_suffix(path)
    content = _png(sheet) if path.suffix.lower() == ".png" else _html(sheet).encode()
    write_durably(path, content)


class StripReader:
    """Reads the pictures of one lookup's occurrences from the files of both sides."""

    def __init__(self, query: Query, identity: EncoderIdentity) -> None:
        self._query = query
        self._identity = identity
        self._intact = lru_cache(maxsize=None)(_intact)

    def read(self, found: Occurrence, *, number: int) -> Strip:
        """Read up to eight moments, evenly spread over what both sides share; `number` is put before the title."""
        query = _Side(
            name=self._query.name,
            sha256=self._query.sha256,
            path=self._intact((self._query.path,), self._query.sha256),
            start_seconds=found.query_start_seconds,
            end_seconds=found.query_end_seconds,
            view=found.query_view,
        )
        other = _Side(
            name=found.name,
            sha256=found.asset_sha256,
            path=self._intact(found.paths, found.asset_sha256),
            start_seconds=found.other_start_seconds,
            end_seconds=found.other_end_seconds,
            view=found.other_view,
        )
        num = min(query.num_pictures(), other.num_pictures())
        near, is_near_kept = self._row(query, num)
        far, is_far_kept = self._row(other, num)
        kept = [
            f"{side.name} is gone, has changed or cannot be decoded there: these are the small pictures kept of it"
            for side, is_kept in ((query, is_near_kept), (other, is_far_kept))
            if is_kept
        ]
        title = f"{number}. {_TIER_WORDS[found.tier]}, probability {found.probability:.3f}"
        return Strip(title=title, lines=(*_about(self._query.name, found), *kept), query=near, found=far)

    def _row(self, side: _Side, num: int) -> tuple[Row, bool]:
        """Return the pictures of one side, and whether they had to be taken from what is kept of it."""
        vectors = self._query.store.read(side.sha256, self._identity)
        pictures: list[NDArray[np.uint8]] | None = None
        if side.path is not None:
            with suppress(MediaError):
                pictures = side.decode(int(vectors.pts_N[0]), num)
        is_kept = pictures is None
        if pictures is None:
            stills = self._query.store.stills(side.sha256, self._identity, 0)
            pictures = [_nearest(stills, seconds) for seconds in side.moments(num)]
        if side.view:
            pictures = _outlined(pictures, vectors.boxes[side.view])
        tiles = zip(pictures, side.moments(num), strict=True)
        return Row(name=side.name, tiles=tuple(Tile(*tile) for tile in tiles)), is_kept


@dataclass(frozen=True, kw_only=True)
class _Side:
    """What one side of an occurrence shows, and the file to read it from; without one, it is gone or changed."""

    name: str
    sha256: str
    path: Path | None
    start_seconds: float
    end_seconds: float
    view: int

    def num_pictures(self) -> int:
        """Return how many moments are worth showing: no more than there are frames."""
        rate = None if self.path is None else probe(self.path).frame_rate
        num_frames = NUM_MOMENTS if rate is None else int((self.end_seconds - self.start_seconds) * rate)
        return max(1, min(NUM_MOMENTS, num_frames))

    def moments(self, num: int) -> list[float]:
        """Return the middles of `num` equal parts of the span."""
        step = (self.end_seconds - self.start_seconds) / num
        return [self.start_seconds + step * (index + 0.5) for index in range(num)]

    def decode(self, first_pts: int, num: int) -> list[NDArray[np.uint8]]:
        """Return the frames shown at the moments. Raises `MediaError` where there are none."""
        assert self.path is not None
        facts = probe(self.path)
        scale = min(1.0, _PICTURE_SIDE / max(facts.width, facts.height))
        height, width = max(1, round(facts.height * scale)), max(1, round(facts.width * scale))

        def decoded(start: float, end: float, num_frames: int) -> NDArray[np.uint8]:
            start_pts = first_pts + round(start / facts.time_base)
            end_pts = max(start_pts + 1, first_pts + round(end / facts.time_base))
            assert self.path is not None
            return decode_clip(
                self.path,
                start_pts=start_pts,
                end_pts=end_pts,
                num_frames=num_frames,
                height=height,
                width=width,
            ).transpose(0, 2, 3, 1)

        if self.end_seconds - self.start_seconds <= _ONE_PASS_SECONDS:
            # Every second of twice as many: the first falls on the start, where no frame need begin.
            return list(decoded(self.start_seconds, self.end_seconds, 2 * num)[1::2])
        return [decoded(seconds, seconds + _SEEK_SECONDS, 1)[0] for seconds in self.moments(num)]


def _intact(paths: tuple[Path, ...], sha256: str) -> Path | None:
    """Return the first of the files that still has these bytes."""
    for path in paths:
        with suppress(MediaError):
            if file_digest(path).sha256 == sha256:
                return path
    return None


def _nearest(stills: Stills, seconds: float) -> NDArray[np.uint8]:
    grey_HW = stills.picture(int(np.abs(stills.seconds_S - seconds).argmin()))
    return np.repeat(grey_HW[..., None], 3, axis=2)


def _outlined(pictures: Sequence[NDArray[np.uint8]], part: ViewBox) -> list[NDArray[np.uint8]]:
    """Return the pictures with a frame drawn around a part of what lies inside their borders."""
    from PIL import Image, ImageDraw

    inside = content_box(pictures)
    height, width = inside.bottom - inside.top, inside.right - inside.left
    corners = (
        inside.left + part.left * width,
        inside.top + part.top * height,
        inside.left + part.right * width - 1,
        inside.top + part.bottom * height - 1,
    )
    drawn = [Image.fromarray(picture) for picture in pictures]
    for image in drawn:
        ImageDraw.Draw(image).rectangle(corners, outline=_OUTLINE, width=_OUTLINE_PIXELS)
    return [np.asarray(image) for image in drawn]


def _about(name: str, found: Occurrence) -> Iterator[str]:
    near = span_text(found.query_start_seconds, found.query_end_seconds)
    far = span_text(found.other_start_seconds, found.other_end_seconds)
    yield f"{near} of {name} and {far} of {found.name} ({', '.join(found.collections)})"
    if found.is_mirrored:
        yield f"mirrored: {name} shows it with left and right swapped; the pictures are shown as they are"
    if round(found.speed, 2) != 1:
        yield f"speed: {name} runs {found.speed:.2f} times as fast"
    if found.query_view or found.other_view:
        yield "only the outlined part of the picture is the same"


def span_text(start_seconds: float, end_seconds: float) -> str:
    """Return a stretch of time as people read it: `1.2–9.9 s`, `58.0 s–1:02.5`."""
    start, end = clock_text(start_seconds), clock_text(end_seconds)
    return f"{start.removesuffix(' s') if end.endswith(' s') else start}–{end}"


# PNG: every part is drawn as a picture of its own, and then they are put below one another.

_CELL_WIDTH, _CELL_HEIGHT = 176, 150
_GAP, _MARGIN = 6, 24
_WIDTH = 2 * _MARGIN + NUM_MOMENTS * _CELL_WIDTH + (NUM_MOMENTS - 1) * _GAP
_PLAIN, _BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"
_PAPER, _INK, _SOFT, _RULE = (255, 255, 255), (26, 26, 26), (85, 85, 85), (205, 205, 205)


def _png(sheet: Sheet) -> bytes:
    parts = [
        _text_image(sheet.title, 22, _INK, face=_BOLD),
        *(_text_image(line, 13, _SOFT) for line in sheet.lines),
    ]
    for strip in sheet.strips:
        parts += [_rule_image(), _text_image(strip.title, 18, _INK, face=_BOLD)]
        parts += [_text_image(line, 13, _SOFT) for line in strip.lines]
        parts += [_row_image(strip.query), _row_image(strip.found)]
    buffer = io.BytesIO()
    _stacked(parts).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    from PIL import Image

    canvas = Image.new("RGB", (_WIDTH, 2 * _MARGIN + sum(part.height for part in parts)), _PAPER)
    top = _MARGIN
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    return canvas


def _font(size: int, face: str = _PLAIN) -> ImageFont.FreeTypeFont:
    """Open a font that has the letters of most alphabets; Pillow's own has no dash."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / face, size)


def _text_image(text: str, size: int, colour: tuple[int, int, int], *, face: str = _PLAIN) -> Image.Image:
    from PIL import Image, ImageDraw

    font = _font(size, face)
    lines = _wrapped(safe_text(text), font)
    step = round(size * 1.45)
    image = Image.new("RGB", (_WIDTH, step * len(lines)), _PAPER)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, number * step + step // 8), line, colour, font)
    return image


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Break a text where it gets too wide, inside words too: paths have no others."""
    lines, line = [], ""
    for character in text:
        if font.getlength(line + character) > _WIDTH - 2 * _MARGIN:
            lines.append(line)
            line = ""
        line += character
    return [*lines, line]


def _rule_image() -> Image.Image:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, 29), _PAPER)
    ImageDraw.Draw(image).line((_MARGIN, 14, _WIDTH - _MARGIN, 14), _RULE)
    return image


def _row_image(row: Row) -> Image.Image:
    from PIL import Image, ImageDraw

    name = _text_image(row.name, 13, _INK)
    pictures = [Image.fromarray(tile.picture) for tile in row.tiles]
    for picture in pictures:
        picture.thumbnail((_CELL_WIDTH, _CELL_HEIGHT), Image.Resampling.LANCZOS)
    height = max(picture.height for picture in pictures)
    image = Image.new("RGB", (_WIDTH, name.height + height + 30), _PAPER)
    image.paste(name, (0, 4))
    draw, font = ImageDraw.Draw(image), _font(12)
    for number, (tile, picture) in enumerate(zip(row.tiles, pictures, strict=True)):
        left = _MARGIN + number * (_CELL_WIDTH + _GAP)
        image.paste(picture, (left + (_CELL_WIDTH - picture.width) // 2, name.height + 4))
        middle = (left + _CELL_WIDTH // 2, name.height + height + 8)
        draw.text(middle, clock_text(tile.seconds), _SOFT, font, anchor="ma")
    return image


# HTML: one file without scripts or outside links; foreign names are escaped.

_STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 88rem; padding: 0 1.5rem; background: #fff; color: #1a1a1a;
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
p { margin: 0 0 .25rem; color: #555; }
section { margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid #ccc; break-inside: avoid; }
figure { margin: .75rem 0 0; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
ol { display: grid; grid-template-columns: repeat(8, 1fr); gap: .375rem; list-style: none; margin: 0; padding: 0; }
li { text-align: center; font-size: .875rem; color: #555; font-variant-numeric: tabular-nums; }
img { display: block; margin: 0 auto .125rem; width: auto; height: auto; max-width: 100%; max-height: 12rem; }
@page { size: A4 landscape; margin: 12mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 11px; } }
"""


def _html(sheet: Sheet) -> str:
    title = _escaped(sheet.title)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            (
                '<meta http-equiv="Content-Security-Policy" '
                "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
            ),
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>",
            *(f"<p>{_escaped(line)}</p>" for line in sheet.lines),
            *(_strip_html(strip) for strip in sheet.strips),
            "</body>\n</html>\n",
        ]
    )


def _strip_html(strip: Strip) -> str:
    lines = [f"<p>{_escaped(line)}</p>" for line in strip.lines]
    rows = [_row_html(row) for row in (strip.query, strip.found)]
    return "\n".join(["<section>", f"<h2>{_escaped(strip.title)}</h2>", *lines, *rows, "</section>"])


def _row_html(row: Row) -> str:
    name = _escaped(row.name)
    items = [
        f'<li><img src="data:image/jpeg;base64,{_jpeg(tile.picture)}" '
        f'width="{tile.picture.shape[1]}" height="{tile.picture.shape[0]}" '
        f'alt="{name} at {clock_text(tile.seconds)}">{clock_text(tile.seconds)}</li>'
        for tile in row.tiles
    ]
    return "\n".join([f"<figure><figcaption>{name}</figcaption>", "<ol>", *items, "</ol></figure>"])


def _escaped(text: str) -> str:
    return html.escape(safe_text(text))


def _jpeg(picture: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
