from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.attacks.copies import (
    Blur,
    BlurredPadding,
    Caption,
    Corner,
    Crop,
    CropToAspect,
    Excerpt,
    FrameRate,
    Grey,
    Host,
    Insert,
    Inset,
    Letterbox,
    Logo,
    Mirror,
    Noise,
    PictureEdit,
    Recolour,
    Reencode,
    Resize,
    Rotate,
    Side,
    SideBySide,
    Speed,
    Transform,
    copied_seconds,
    disguise,
    write_copy,
)
from ingest.attacks.film import Picture, read_film, write_film
from ingest.errors import MediaError
from ingest.media.frames import scan_frames
from ingest.media.probe import probe
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_video(tmp_path / "source.mp4", moving_scene(1, 48), rate=24)


def _frames(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    scanned = scan_frames(path, samples_per_second=Fraction(1000), image_short_side=1000)
    return [(frame.seconds, frame.image) for frame in scanned if frame.image is not None]


def _film(pictures: list[NDArray[np.uint8]], rate: int = 10) -> list[Picture]:
    """Return a film of `pictures`, evenly shown."""
    return [
        Picture(Fraction(index, rate), Fraction(index + 1, rate), image)
        for index, image in enumerate(pictures)
    ]


def _flat(*levels: int, height: int = 90, width: int = 160) -> list[NDArray[np.uint8]]:
    """Return a grey picture of each level."""
    return [np.full((height, width, 3), level, dtype=np.uint8) for level in levels]


def _scene(height: int = 144, width: int = 192) -> NDArray[np.uint8]:
    return next(moving_scene(1, 1, height, width))


def _times(film: Iterable[Picture]) -> list[tuple[float, float, int]]:
    """Return when each picture begins and ends, and the level in its middle."""
    return [
        (
            float(picture.begin),
            float(picture.end),
            int(picture.image[picture.image.shape[0] // 2, picture.image.shape[1] // 2, 0]),
        )
        for picture in film
    ]


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (Mirror(), (144, 192)),
        (Crop(0.7), (100, 134)),
        (Resize(0.5), (72, 96)),
        (Caption("hello"), (144, 192)),
        (Letterbox(0.1), (172, 192)),
        (Grey(), (144, 192)),
        (Reencode(40), (144, 192)),
        (CropToAspect(), (144, 80)),
        (Rotate(5.0), (144, 192)),
        (Logo("NOON"), (144, 192)),
        (BlurredPadding(), (256, 144)),
        (Recolour(40.0, 1.2), (144, 192)),
        (Blur(0.01), (144, 192)),
        (Noise(20.0), (144, 192)),
    ],
)
def test_each_edit_gives_its_size_and_keeps_every_time(
    source: Path, tmp_path: Path, transform: Transform, size: tuple[int, int]
) -> None:
    copy = tmp_path / "copy.mp4"
    assert write_copy(source, copy, transforms=[transform]) == 48
    frames = _frames(copy)
    assert {image.shape[:2] for _, image in frames} == {size}
    assert [second for second, _ in frames] == pytest.approx([index / 24 for index in range(48)])


def test_a_mirrored_copy_is_the_source_mirrored(source: Path, tmp_path: Path) -> None:
    write_copy(source, tmp_path / "copy.mp4", transforms=[Mirror()])
    first, original = _frames(tmp_path / "copy.mp4")[0][1], _frames(source)[0][1]
    assert _difference(first[:, ::-1], original) < 6
    assert _difference(first, original) > 20


def test_an_excerpt_starts_where_it_is_told_and_edits_follow_in_order(source: Path, tmp_path: Path) -> None:
    edits: list[Transform] = [Excerpt(0.5, 1.0), Letterbox(0.25), Crop(0.5), Grey()]
    assert write_copy(source, tmp_path / "copy.mp4", transforms=edits) == 24
    frames = _frames(tmp_path / "copy.mp4")
    assert frames[0][0] == 0
    assert frames[0][1].shape == (108, 96, 3)
    expected = _frames(source)[12][1][18:126, 48:144].mean(axis=2)
    assert _difference(frames[0][1].mean(axis=2).astype(np.uint8), expected.astype(np.uint8)) < 15


def test_an_excerpt_outside_the_source_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no frame of source\.mp4"):
        write_copy(source, tmp_path / "copy.mp4", transforms=[Excerpt(10.0, 1.0)])
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


def test_a_source_that_is_not_a_video_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "source.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(MediaError):
        write_copy(tmp_path / "source.mp4", tmp_path / "copy.mp4", transforms=[Mirror()])
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


def test_an_excerpt_begins_with_the_picture_that_was_on_then(source: Path, tmp_path: Path) -> None:
    """Footage of few frames a second used to lose up to one of their periods at the start."""
    slow = write_film(_film(_flat(10, 60, 110, 160), rate=1), tmp_path / "slow.mp4", crf=10)
    assert slow == 4
    write_copy(tmp_path / "slow.mp4", tmp_path / "copy.mp4", transforms=[Excerpt(0.5, 2.0)])
    times = _times(read_film(tmp_path / "copy.mp4", short_side=90))
    assert [begin for begin, _, _ in times] == pytest.approx([0.0, 0.5, 1.5])
    assert probe(tmp_path / "copy.mp4").duration_seconds == pytest.approx(2.0)
    assert [level for _, _, level in times] == pytest.approx([10, 60, 110], abs=4)


def test_an_excerpt_is_cut_where_it_stands_among_the_transforms() -> None:
    film = _film(_flat(10, 20, 30, 40))
    early = _times(disguise(film, [Excerpt(0.1, 0.2), Speed(2.0)], None))
    late = _times(disguise(film, [Speed(2.0), Excerpt(0.1, 0.1)], None))
    assert early == [(0.0, 0.05, 20), (0.05, 0.1, 30)]
    assert late == [(0.0, 0.05, 30), (0.05, 0.1, 40)]


def test_an_excerpt_read_and_an_excerpt_cut_are_the_same(source: Path) -> None:
    read = _times(read_film(source, short_side=144, start_seconds=0.51, seconds=0.7))
    cut = _times(disguise(read_film(source, short_side=144), [Excerpt(0.51, 0.7)], None))
    assert read == cut
    assert read[-1][1] == 0.7


@pytest.mark.parametrize(
    ("x", "y", "top", "left"), [(0, 0, 0, 0), (1, 1, 72, 96), (0.5, 0.5, 36, 48), (1, 0, 0, 96)]
)
def test_a_crop_lies_where_it_is_told(x: float, y: float, top: int, left: int) -> None:
    image = _scene()
    assert (Crop(0.5, x=x, y=y).apply(image) == image[top : top + 72, left : left + 96]).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(144, 192, (144, 81)), (192, 108, (192, 108)), (200, 90, (160, 90))]
)
def test_a_crop_to_an_aspect_keeps_the_most_of_it(height: int, width: int, expected: tuple[int, int]) -> None:
    assert CropToAspect().apply(_scene(height, width)).shape[:2] == expected


def test_a_crop_to_an_aspect_is_the_middle_unless_told_otherwise() -> None:
    image = _scene()
    assert (CropToAspect().apply(image) == image[:, 55:136]).all()
    assert (CropToAspect(position=0.0).apply(image) == image[:, :81]).all()


def test_a_turn_moves_the_picture_and_blackens_the_corners() -> None:
    image = np.maximum(_scene(), 40)
    turned = Rotate(8.0).apply(image)
    assert turned.shape == image.shape
    assert (turned[0, 0] == 0).all()
    assert (turned[-1, -1] == 0).all()
    assert _difference(turned[62:82, 86:106], image[62:82, 86:106]) < 20
    marked = np.zeros((101, 101, 3), dtype=np.uint8)
    marked[48:53, 90:95] = 255
    assert np.unravel_index(Rotate(90.0).apply(marked)[..., 0].argmax(), (101, 101))[0] < 12


@pytest.mark.parametrize("corner", list(Corner))
def test_a_logo_covers_its_corner_and_nothing_else(corner: Corner) -> None:
    image = _scene()
    branded = Logo("NOON", corner, 0.3, (200, 0, 0)).apply(image)
    is_changed = (branded != image).any(axis=2)
    rows, columns = np.nonzero(is_changed.any(axis=1))[0], np.nonzero(is_changed.any(axis=0))[0]
    assert (rows.max() < 72) == ("top" in corner)
    assert (columns.max() < 96) == ("left" in corner)
    assert columns.max() - columns.min() + 1 == pytest.approx(58, abs=1)
    # Opaque: the same plate, whatever is below.
    on_black = Logo("NOON", corner, 0.3, (200, 0, 0)).apply(np.zeros_like(image))
    plate = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (on_black[plate] == branded[plate]).all()
    assert (on_black[plate] == 255).all(axis=2).any()


def test_a_caption_lies_where_it_is_told_and_long_text_is_made_to_fit() -> None:
    image = _scene()
    captioned = Caption(
        "a text that is much too long for a picture of this width", top=0.1, height=0.2
    ).apply(image)
    is_changed = (captioned != image).any(axis=2)
    rows = np.nonzero(is_changed.any(axis=1))[0]
    assert (rows.min(), rows.max()) == (14, 42)
    ink = np.nonzero((captioned[14:43] > 150).all(axis=2).any(axis=0))[0]
    assert ink.min() > 1
    assert ink.max() < 190


def test_an_edit_leaves_the_picture_it_was_given_as_it_was() -> None:
    image = _scene()
    before = image.copy()
    edits: list[PictureEdit] = [
        Caption("x"),
        Logo("x"),
        BlurredPadding(),
        Recolour(20.0),
        Rotate(3.0),
        Blur(0.02),
    ]
    for edit in edits:
        edit.apply(image)
    assert (image == before).all()


def test_blurred_padding_sets_the_whole_picture_into_a_blur_of_itself() -> None:
    image = _scene()
    padded = BlurredPadding(share=0.75).apply(image)
    assert padded.shape == (256, 144, 3)
    inside = padded[87:168, 18:126]
    assert _difference(inside, Resize(0.5625).apply(image)) < 4
    above = padded[:80].astype(float)
    assert np.abs(np.diff(above, axis=0)).mean() < 0.25 * np.abs(np.diff(inside.astype(float), axis=0)).mean()
    assert above.mean() == pytest.approx(image[:50].mean(), abs=12)


def test_recolouring_turns_the_hue_and_keeps_the_luma() -> None:
    red = np.full((4, 4, 3), (160, 90, 90), dtype=np.uint8)
    turned = Recolour(hue_degrees=120.0).apply(red)[0, 0].astype(int)
    assert turned.argmax() != 0
    weights = np.array([0.299, 0.587, 0.114])
    assert turned @ weights == pytest.approx(np.array([160, 90, 90]) @ weights, abs=1.5)
    assert (Recolour().apply(red) == red).all()
    assert np.ptp(Recolour(saturation=0.0).apply(red)[0, 0].astype(int)) <= 1
    assert np.ptp(Recolour(saturation=1.5).apply(red)[0, 0].astype(int)) == pytest.approx(105, abs=3)


def test_brightness_is_added_and_contrast_is_about_grey() -> None:
    grey = np.stack([np.full((4, 3), level, dtype=np.uint8) for level in (28, 128, 228)])
    assert Recolour(brightness=0.1).apply(grey)[:, 0, 0].astype(int) == pytest.approx([53, 153, 253], abs=1)
    assert Recolour(contrast=0.5).apply(grey)[:, 0, 0].astype(int) == pytest.approx([78, 128, 178], abs=1)


def test_a_blur_is_as_strong_at_any_resolution() -> None:
    edge = np.zeros((100, 100, 3), dtype=np.uint8)
    edge[:, 50:] = 255
    small = Blur(0.03).apply(edge)[50, :, 0].astype(int)
    large = Blur(0.03).apply(edge.repeat(2, axis=0).repeat(2, axis=1))[100, ::2, 0].astype(int)
    assert np.count_nonzero((small > 25) & (small < 230)) >= 6
    assert np.abs(small - large).max() < 30


def test_noise_is_new_in_every_picture_and_the_same_for_a_seed() -> None:
    film = _film(_flat(128, 128))
    first, second = (picture.image.astype(int) - 128 for picture in Noise(20.0, seed=3).over(film))
    assert first.std() == pytest.approx(20, rel=0.05)
    assert first.mean() == pytest.approx(0, abs=1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
    again = next(Noise(20.0, seed=3).over(film)).image.astype(int) - 128
    other = next(Noise(20.0, seed=4).over(film)).image.astype(int) - 128
    assert (again == first).all()
    assert (other != first).any()


def test_speed_changes_the_times_and_drops_nothing(source: Path, tmp_path: Path) -> None:
    assert write_copy(source, tmp_path / "copy.mp4", transforms=[Speed(1.25)]) == 48
    assert [second for second, _ in _frames(tmp_path / "copy.mp4")] == pytest.approx(
        [index / 30 for index in range(48)], abs=2e-5
    )


def test_a_lower_frame_rate_shows_the_picture_of_each_moment() -> None:
    film = _film(_flat(0, 10, 20, 30, 40, 50, 60, 70, 80, 90))
    assert _times(FrameRate(4.0).over(film)) == [
        (0.0, 0.25, 0),
        (0.25, 0.5, 20),
        (0.5, 0.75, 50),
        (0.75, 1.0, 70),
    ]


def test_a_still_stays_one_picture_at_any_frame_rate() -> None:
    still = [Picture(Fraction(0), Fraction(3), _flat(50)[0]), Picture(Fraction(3), Fraction(4), _flat(90)[0])]
    assert _times(FrameRate(10.0).over(still)) == [(0.0, 3.0, 50), (3.0, 4.0, 90)]


@pytest.mark.parametrize("edit", [Speed, FrameRate])
def test_impossible_rates_are_refused(edit: type[Speed | FrameRate]) -> None:
    with pytest.raises(ConfigError):
        edit(0.0)


def test_an_inserted_copy_stands_between_two_parts_of_its_host() -> None:
    film, host = _film(_flat(200, 210, height=80, width=80)), _film(_flat(10, 20, 30, 40, 50))
    edit = Insert(before_seconds=0.25, after_seconds=0.2)
    joined = list(edit.over(film, host))
    assert _times(joined) == [
        pytest.approx(row)
        for row in [
            (0.0, 0.1, 10),
            (0.1, 0.2, 20),
            (0.2, 0.25, 30),
            (0.25, 0.35, 200),
            (0.35, 0.45, 210),
            (0.45, 0.5, 30),
            (0.5, 0.6, 40),
            (0.6, 0.65, 50),
        ]
    ]
    assert {picture.image.shape for picture in joined} == {(90, 160, 3)}
    # A square in a wide picture: whole, between bars.
    assert (joined[3].image[45, :34] == 0).all()
    assert (joined[3].image[:, 36:124] == 200).all()


def test_a_host_that_ends_before_the_copy_begins_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"not longer than the 0\.5 s"):
        list(Insert(0.5, 1.0).over(_film(_flat(200)), _film(_flat(10, 20))))


@pytest.mark.parametrize("corner", list(Corner))
def test_an_inset_lies_in_its_corner_with_its_share_of_the_width(corner: Corner) -> None:
    film, host = _film(_flat(200, 210, 220)), _film(_flat(10, 20), rate=5)
    shown = list(Inset(0.4, corner, margin=0.1).over(film, host))
    assert [float(picture.begin) for picture in shown] == [0.0, 0.1, 0.2]
    top, left = (9 if "top" in corner else 45), (9 if "left" in corner else 87)
    for picture, level, backdrop in zip(shown, (200, 210, 220), (10, 10, 20), strict=True):
        inset = np.zeros((90, 160), dtype=bool)
        inset[top : top + 36, left : left + 64] = True
        assert (picture.image[inset] == level).all()
        assert (picture.image[~inset] == backdrop).all()


def test_an_inset_too_tall_for_its_host_is_made_to_fit() -> None:
    tall, wide = _film(_flat(200, height=320, width=180)), _film(_flat(10))
    image = next(Inset(0.5, Corner.TOP_LEFT, margin=0.1).over(tall, wide)).image
    rows, columns = np.nonzero(image[..., 0] == 200)
    assert (rows.min(), rows.max()) == (9, 80)
    assert columns.max() - columns.min() + 1 == 40


@pytest.mark.parametrize("side", list(Side))
def test_two_films_stand_whole_beside_each_other(side: Side) -> None:
    film, host = _film(_flat(200, height=100, width=100)), _film(_flat(10))
    image = next(SideBySide(side).over(film, host)).image
    halves = {Side.LEFT: (image[:, :80], image[:, 80:]), Side.RIGHT: (image[:, 80:], image[:, :80])}
    copy, other = halves[side]
    assert image.shape == (90, 160, 3)
    assert (copy[5:85] == 200).all()
    assert (copy[:4] == 0).all()
    assert (other[23:67] == 10).all()
    assert (other[:22] == 0).all()


def test_two_films_shown_together_end_with_the_shorter() -> None:
    shown = list(SideBySide().over(_film(_flat(1, 2, 3, 4)), _film(_flat(9), rate=4)))
    assert len(shown) == 3


def test_a_host_is_read_from_the_second_that_is_told(source: Path, tmp_path: Path) -> None:
    write_film(_film(_flat(*[30] * 10, *[220] * 20)), tmp_path / "host.mp4", crf=10)
    host = Host(tmp_path / "host.mp4", start_seconds=1.0)
    edits: list[Transform] = [Excerpt(0.0, 1.0), Inset(0.3)]
    assert write_copy(source, tmp_path / "copy.mp4", transforms=edits, host=host, short_side=72) == 24
    image = _frames(tmp_path / "copy.mp4")[0][1]
    assert image.shape == (72, 128, 3)
    assert image[5, 5, 0] == pytest.approx(220, abs=4)


def test_a_copy_needs_a_host_where_it_is_hidden_in_one_and_only_one(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Inset needs a host"):
        write_copy(source, tmp_path / "copy.mp4", transforms=[Inset(0.4)])
    with pytest.raises(ConfigError, match="one host only"):
        write_copy(source, tmp_path / "copy.mp4", transforms=[Inset(0.4), SideBySide()], host=Host(source))
    assert not (tmp_path / "copy.mp4").exists()


def test_copied_seconds_follow_speed_and_insertion_in_their_order() -> None:
    assert copied_seconds([Mirror(), Speed(1.25), Caption("x")], 5.0) == pytest.approx((0.0, 4.0))
    assert copied_seconds([Speed(2.0), Insert(3.0, 1.0)], 5.0) == pytest.approx((3.0, 5.5))
    assert copied_seconds([Insert(3.0, 1.0), Speed(2.0)], 5.0) == pytest.approx((1.5, 4.0))


def test_odd_sizes_and_pictures_shown_for_no_time_are_written(tmp_path: Path) -> None:
    blink = Fraction(1, 10**6)
    film = [
        Picture(Fraction(0), blink, _flat(10, height=91, width=161)[0]),
        Picture(blink, Fraction(1), _flat(20, height=91, width=161)[0]),
        Picture(Fraction(1), Fraction(2), _flat(30, height=91, width=161)[0]),
    ]
    assert write_film(film, tmp_path / "film.mp4", crf=20) == 2
    assert {image.shape for _, image in _frames(tmp_path / "film.mp4")} == {(90, 160, 3)}


def test_the_same_copy_has_the_same_bytes(source: Path, tmp_path: Path) -> None:
    edits: list[Transform] = [Excerpt(0.2, 0.8), Noise(20.0, seed=1), Recolour(30.0), Speed(1.1)]
    for name in ("one.mp4", "other.mp4"):
        write_copy(source, tmp_path / name, transforms=edits)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "other.mp4").read_bytes()
