from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ingest.matching.geometry import Agreement, Pairs, Picture, agree, assumed, detect, register
from ingest.media.borders import luma
from tests.media import flat_scene, moving_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _compressed(image: NDArray[np.uint8], quality: int = 60) -> NDArray[np.uint8]:
    data = io.BytesIO()
    Image.fromarray(luma(image)).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def _scene(seed: int) -> list[NDArray[np.uint8]]:
    return list(islice(moving_scene(seed, 40), 0, None, 8))


def _pictures(frames: Iterator[NDArray[np.uint8]] | Sequence[NDArray[np.uint8]]) -> list[Picture]:
    return [Picture(_compressed(frame)) for frame in frames]


def _pairs(query: Sequence[NDArray[np.uint8]], other: Sequence[NDArray[np.uint8]]) -> Pairs:
    return list(zip(_pictures(query), _pictures(other), strict=True))


def _two_takes(seed: int) -> list[NDArray[np.uint8]]:
    """A person-sized patch that moves before a room: the room is the same whatever the seed."""
    room = next(moving_scene(99, 1))
    subject = next(moving_scene(seed, 1, 72, 56))
    frames = []
    for row in range(10, 60, 10):
        frame = room.copy()
        frame[row : row + 72, 60:116] = subject
        frames.append(frame)
    return frames


def _compared(pairs: Pairs) -> Agreement | None:
    """Compare under the map that the keypoints give."""
    registration = register(pairs)
    return None if registration is None else agree(pairs, registration)


def test_a_compressed_copy_agrees() -> None:
    scene = _scene(1)
    pairs = [
        (Picture(_compressed(frame, 25)), other) for frame, other in zip(scene, _pictures(scene), strict=True)
    ]
    registration = register(pairs)
    assert registration is not None
    assert registration.num_pairs == 5
    assert registration.num_inliers > 50 * registration.num_pairs
    agreement = agree(pairs, registration)
    assert agreement is not None
    assert agreement.mean > 0.95
    assert agreement.overlap > 0.75


def test_a_cropped_and_scaled_copy_agrees_and_its_map_is_found() -> None:
    scene = _scene(2)
    cropped = [np.asarray(Image.fromarray(frame[22:122, 29:163]).resize((192, 144))) for frame in scene]
    pairs = _pairs(cropped, scene)
    registration = register(pairs)
    assert registration is not None
    np.testing.assert_allclose(registration.map_23, [[134 / 192, 0, 29], [0, 100 / 144, 22]], atol=1.0)
    agreement = agree(pairs, registration)
    assert agreement is not None
    assert agreement.mean > 0.9
    # The map leads from the query to the other side: the other way round it does not fit.
    swapped = agree([(other, query) for query, other in pairs], registration)
    assert swapped is None or swapped.mean < 0.3


def test_a_picture_inside_another_is_found_and_only_its_overlap_compared() -> None:
    scene, host = _scene(2), _scene(12)
    inset = []
    for frame, around in zip(scene, host, strict=True):
        laid = around.copy()
        laid[60:132, 80:176] = np.asarray(Image.fromarray(frame).resize((96, 72)))
        inset.append(laid)
    pairs = _pairs(inset, scene)
    agreement = _compared(pairs)
    assert agreement is not None
    assert agreement.texture > 0.7
    assert agreement.overlap < 0.3


def test_a_caption_across_the_bottom_does_not_hide_a_copy() -> None:
    scene = _scene(3)
    captioned = [frame.copy() for frame in scene]
    for frame in captioned:
        frame[108:136] = 12
        frame[116:128, 40:150:6] = 255
    agreement = _compared(_pairs(captioned, scene))
    assert agreement is not None
    assert agreement.mean > 0.95


def test_a_mirrored_copy_agrees_once_it_is_mirrored_back() -> None:
    scene = _scene(4)
    mirrored = _pairs([frame[:, ::-1] for frame in scene], scene)
    agreement = _compared([(query.mirrored, other) for query, other in mirrored])
    assert agreement is not None
    assert agreement.mean > 0.95
    plain = _compared(mirrored)
    assert plain is None or plain.mean < 0.3
    unregistered = agree(mirrored, assumed(*mirrored[0]))
    assert unregistered is None or unregistered.mean < 0.3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_keypoints_of_a_mirrored_picture_are_those_that_would_be_found_in_it(seed: int) -> None:
    """They are made from those of the picture, which saves looking for them."""
    picture = _pictures(_scene(seed)[:1])[0]
    made, found = picture.mirrored.features, detect(picture.mirrored.pixels_HW)
    likeness = made.descriptors_KD @ found.descriptors_KD.T
    apart = np.linalg.norm(made.points_K2 - found.points_K2[likeness.argmax(axis=1)], axis=1)
    assert np.median(likeness.max(axis=1)) > 0.97
    assert (apart < 1).mean() > 0.85


def test_a_mirrored_picture_without_keypoints_has_none() -> None:
    plain = Picture(np.full((40, 60), 90, dtype=np.uint8)).mirrored.features
    assert plain.points_K2.shape == (0, 2)
    assert plain.descriptors_KD.shape == (0, 128)


def test_another_subject_in_the_same_room_does_not_agree_where_it_moves() -> None:
    """The room registers well, and most of the picture is the room."""
    pairs = _pairs(_two_takes(5), _two_takes(6))
    registration = register(pairs)
    assert registration is not None
    assert registration.num_inliers > 20 * registration.num_pairs
    agreement = agree(pairs, registration)
    assert agreement is not None
    assert agreement.motion < 0.5 < agreement.texture
    assert agreement.mean < 0.75
    same = _compared(_pairs(_two_takes(5), _two_takes(5)))
    assert same is not None
    assert same.mean > 0.95


def test_different_scenes_do_not_fit() -> None:
    pairs = _pairs(_scene(7), _scene(8))
    different = _compared(pairs)
    assert different is None or different.mean < 0.3
    laid = agree(pairs, assumed(*pairs[0]))
    assert laid is None or laid.mean < 0.3


def test_pictures_without_texture_cannot_be_compared() -> None:
    grey = _pairs(list(flat_scene((90, 90, 90), 3)), list(flat_scene((90, 90, 90), 3)))
    assert register(grey) is None
    assert agree(grey, assumed(*grey[0])) is None
    assert len(detect(grey[0][0].pixels_HW).points_K2) == 0


def test_nothing_is_registered_with_nothing() -> None:
    (pair,) = _pairs(_scene(1)[:1], _scene(1)[:1])
    assert register([]) is None
    assert agree([], assumed(*pair)) is None


def test_flat_pairs_among_textured_ones_are_left_out_while_they_are_few() -> None:
    scene, flat = _scene(9), list(flat_scene((16, 16, 16), 5))
    few = _pairs([*scene[:3], *flat[:2]], [*scene[:3], *flat[:2]])
    agreement = agree(few, assumed(*few[0]))
    assert agreement is not None
    assert agreement.texture > 0.95
    many = _pairs([*scene[:2], *flat[:3]], [*scene[:2], *flat[:3]])
    assert agree(many, assumed(*many[0])) is None


def test_the_assumed_map_lays_the_whole_over_the_whole() -> None:
    """A blurred copy has no keypoints left, but its pictures still agree."""
    scene = _scene(10)
    small = [np.asarray(Image.fromarray(frame).resize((96, 108))) for frame in scene]
    pairs = _pairs(small, scene)
    registration = assumed(*pairs[0])
    assert (registration.num_inliers, registration.num_pairs) == (0, 0)
    np.testing.assert_allclose(registration.map_23, np.array([[2, 0, 0], [0, 4 / 3, 0]]))
    agreement = agree(pairs, registration)
    assert agreement is not None
    assert agreement.mean > 0.7


@pytest.mark.parametrize("size", [(18, 144), (1200, 48)])
def test_a_map_that_no_edit_would_make_is_refused(size: tuple[int, int]) -> None:
    """Width and height; more than 3 times smaller, or squeezed more than twice."""
    scene = _scene(11)
    squeezed = [np.asarray(Image.fromarray(frame).resize(size)) for frame in scene]
    assert register(_pairs(squeezed, scene)) is None


def test_registration_is_the_same_every_time() -> None:
    found = [register(_pairs(_two_takes(5), _two_takes(6))) for _ in range(2)]
    assert found[0] is not None
    assert found[1] is not None
    np.testing.assert_array_equal(found[0].map_23, found[1].map_23)
    assert found[0].num_inliers == found[1].num_inliers
