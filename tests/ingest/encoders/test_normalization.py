from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.encoders import normalization
from ingest.encoders.encoder import EncoderIdentity
from ingest.encoders.normalization import (
    MIN_ROWS,
    MIN_ROWS_PER_DIMENSION,
    Normalization,
    fit_normalization,
    fit_on_footage,
    load_normalization,
)
from ingest.errors import EncoderError, MediaError
from tests.media import flat_scene, moving_scene, truncate_file, write_video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_DIM = 24
_IDENTITY = EncoderIdentity(name="a", weights_sha256="0" * 64, preprocessing="none", dim=_DIM)
_OTHER = dataclasses.replace(_IDENTITY, weights_sha256="1" * 64)


def _unit_vectors(seed: int, num: int, dim: int = _DIM) -> NDArray[np.float32]:
    """Return unit vectors that share a direction and spread ever less along each further axis."""
    random = np.random.default_rng(seed)
    vectors_ND = random.normal(size=(num, dim)) * np.linspace(3, 0.3, dim) + 2
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), dtype=np.float32)


def _fitted(**parameters: Any) -> Normalization:
    return fit_normalization(
        _unit_vectors(1, 600), _IDENTITY, **({"dim": 8, "beta": 1.0, "whitening": 0.0} | parameters)
    )


def test_rows_and_queries_are_unit_vectors_and_one_dimension_more() -> None:
    fitted = _fitted()
    rows_NK, queries_NK = (
        apply(_unit_vectors(2, 5), _IDENTITY) for apply in (fitted.apply_rows, fitted.apply_queries)
    )
    assert rows_NK.shape == queries_NK.shape == (5, 9)
    assert rows_NK.dtype == queries_NK.dtype == np.float32
    np.testing.assert_array_equal(rows_NK[:, -1], 1)
    np.testing.assert_array_equal(rows_NK[:, :-1], queries_NK[:, :-1])
    np.testing.assert_allclose(np.linalg.norm(rows_NK[:, :-1], axis=1), 1, atol=1e-6)


def test_inner_products_are_normalised_scores() -> None:
    fitted = _fitted(beta=1.2, num_neighbours=3)
    queries_QK = fitted.apply_queries(_unit_vectors(2, 4), _IDENTITY)
    rows_RK = fitted.apply_rows(_unit_vectors(3, 6), _IDENTITY)
    background_BK = fitted.apply_rows(_unit_vectors(1, 600), _IDENTITY)[:, :-1]
    for query in range(4):
        plain_R = rows_RK[:, :-1] @ queries_QK[query, :-1]
        nearest_3 = np.sort(background_BK @ queries_QK[query, :-1])[-3:]
        # The background is kept in half precision.
        np.testing.assert_allclose(rows_RK @ queries_QK[query], plain_R - 1.2 * nearest_3.mean(), atol=2e-3)


def test_without_beta_scores_are_cosines() -> None:
    queries_QK = _fitted(beta=0).apply_queries(_unit_vectors(2, 4), _IDENTITY)
    np.testing.assert_array_equal(queries_QK[:, -1], 0)


def test_many_queries_get_what_each_gets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = _fitted()
    vectors_ND = _unit_vectors(2, 50)
    alone = np.concatenate([fitted.apply_queries(vector_1D, _IDENTITY) for vector_1D in vectors_ND[:, None]])
    monkeypatch.setattr(normalization, "_BLOCK_SIMILARITIES", 600 * 7)
    np.testing.assert_allclose(fitted.apply_queries(vectors_ND, _IDENTITY), alone, atol=1e-5)
    assert fitted.apply_queries(vectors_ND[:0], _IDENTITY).shape == (0, 9)


def test_kept_axes_are_those_of_the_widest_spread() -> None:
    fitted = _fitted(dim=_DIM)
    centred_ND = _unit_vectors(1, 600) - fitted.mean_D
    spread_K = (centred_ND @ fitted.axes_KD.T).std(axis=0)
    assert (np.diff(spread_K) < 1e-6).all()
    np.testing.assert_allclose(fitted.axes_KD @ fitted.axes_KD.T, np.eye(_DIM), atol=1e-5)
    np.testing.assert_array_equal(fitted.axes_KD[:8], _fitted(dim=8).axes_KD)


def test_signs_of_the_axes_do_not_hang_on_chance() -> None:
    axes_KD = _fitted().axes_KD
    largest_K = np.abs(axes_KD).argmax(axis=1)
    assert (axes_KD[np.arange(8), largest_K] > 0).all()


def test_whitening_makes_the_spread_along_the_axes_equal() -> None:
    fitted = _fitted(whitening=1.0)
    spread_K = ((_unit_vectors(1, 600) - fitted.mean_D) @ fitted.axes_KD.T).std(axis=0)
    np.testing.assert_allclose(spread_K, 1, atol=1e-3)


def test_all_dimensions_keep_every_neighbour() -> None:
    fitted = _fitted(dim=_DIM, beta=0)
    centred_ND = _unit_vectors(2, 30) - fitted.mean_D
    centred_ND /= np.linalg.norm(centred_ND, axis=1, keepdims=True)
    rows_NK = fitted.apply_rows(_unit_vectors(2, 30), _IDENTITY)[:, :-1]
    np.testing.assert_allclose(rows_NK @ rows_NK.T, centred_ND @ centred_ND.T, atol=1e-5)


def test_fitting_again_gives_the_same() -> None:
    assert _fitted().digest == _fitted().digest
    assert _fitted().identity == _fitted().identity


def test_the_digest_covers_everything() -> None:
    fitted = _fitted()
    others = [
        dataclasses.replace(fitted, encoder=_OTHER),
        dataclasses.replace(fitted, mean_D=fitted.mean_D * 2),
        dataclasses.replace(fitted, axes_KD=fitted.axes_KD * 2),
        dataclasses.replace(fitted, background_BK=fitted.background_BK[:-1]),
        dataclasses.replace(fitted, num_fitted=601),
        dataclasses.replace(fitted, beta=0.5),
        dataclasses.replace(fitted, num_neighbours=1),
        dataclasses.replace(fitted, whitening=0.5),
    ]
    assert len(others) == len(dataclasses.fields(Normalization))
    assert len({fitted.digest, *(other.digest for other in others)}) == len(others) + 1


def test_the_identity_is_another_for_another_normalisation() -> None:
    fitted, other = _fitted(), _fitted(beta=0.5)
    assert fitted.identity.dim == 9
    assert fitted.digest in fitted.identity.preprocessing
    assert len({_IDENTITY.digest, fitted.identity.digest, other.identity.digest}) == 3


def test_vectors_of_another_encoder_are_refused() -> None:
    fitted = _fitted()
    for apply in (fitted.apply_rows, fitted.apply_queries):
        with pytest.raises(EncoderError, match="the normalisation was fitted for a"):
            apply(_unit_vectors(2, 5), _OTHER)


def test_it_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    fitted = _fitted(beta=1.2, num_neighbours=2, whitening=0.5)
    fitted.save(tmp_path / "a" / "normalization.safetensors")
    read = load_normalization(tmp_path / "a" / "normalization.safetensors")
    assert read.digest == fitted.digest
    assert read.identity == fitted.identity
    vectors_ND = _unit_vectors(2, 5)
    np.testing.assert_array_equal(
        read.apply_queries(vectors_ND, _IDENTITY), fitted.apply_queries(vectors_ND, _IDENTITY)
    )
    read.save(tmp_path / "again.safetensors")
    again = (tmp_path / "again.safetensors").read_bytes()
    assert again == (tmp_path / "a" / "normalization.safetensors").read_bytes()


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    (tmp_path / "junk").write_bytes(b"no tensors")
    save_file({"mean": np.zeros(3)}, tmp_path / "foreign")
    for name in ("absent", "junk", "foreign"):
        with pytest.raises(EncoderError, match=f"{name} cannot be read"):
            load_normalization(tmp_path / name)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "normalization.safetensors"
    _fitted().save(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(EncoderError, match="is damaged"):
        load_normalization(path)


@pytest.mark.parametrize(
    "dim", [4, MIN_ROWS // MIN_ROWS_PER_DIMENSION, MIN_ROWS // MIN_ROWS_PER_DIMENSION + 20]
)
def test_too_few_background_frames_are_refused(dim: int) -> None:
    least = max(MIN_ROWS, MIN_ROWS_PER_DIMENSION * dim)
    identity = dataclasses.replace(_IDENTITY, dim=150)
    with pytest.raises(EncoderError, match=f"expected at least {least}"):
        fit_normalization(_unit_vectors(1, least - 1, 150), identity, dim=dim)
    assert fit_normalization(_unit_vectors(1, least, 150), identity, dim=dim).num_fitted == least


@pytest.mark.parametrize("shape", [(600,), (600, _DIM + 1), (0, 0)])
def test_background_vectors_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderError, match="background vectors have shape"):
        fit_normalization(np.ones(shape, dtype=np.float32), _IDENTITY, dim=4)


def test_a_background_that_never_varies_is_refused() -> None:
    with pytest.raises(EncoderError, match="fewer than 8 dimensions"):
        fit_normalization(np.repeat(_unit_vectors(1, 3), 200, axis=0), _IDENTITY, dim=8)


def test_a_background_that_is_not_finite_is_refused() -> None:
    vectors_ND = _unit_vectors(1, 600)
    vectors_ND[5, 3] = np.nan
    with pytest.raises(EncoderError, match="not all finite"):
        fit_normalization(vectors_ND, _IDENTITY, dim=8)


@pytest.mark.parametrize(
    "parameters",
    [
        {"dim": 0},
        {"dim": _DIM + 1},
        {"beta": -0.1},
        {"beta": 2.1},
        {"beta": float("nan")},
        {"whitening": 1.1},
        {"num_neighbours": 0},
        {"num_neighbours": MIN_ROWS + 1},
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        _fitted(**parameters)


class _Quadrants:
    """An encoder that sees only the mean colours of a 3 x 3 grid."""

    identity = dataclasses.replace(_IDENTITY, dim=27)

    def __init__(self) -> None:
        self.seen: list[NDArray[np.uint8]] = []

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        from PIL import Image

        self.seen += images
        small = [
            np.asarray(Image.fromarray(image).resize((3, 3), Image.Resampling.BOX)).ravel()
            for image in images
        ]
        vectors_ND = np.array(small, dtype=np.float32).reshape(-1, 27) + 1
        return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True))


def _footage(folder: Path, seed: int, num_seconds: int, bar: int = 0) -> Path:
    frames = [
        np.pad(frame, ((bar, bar), (0, 0), (0, 0))) for frame in moving_scene(seed, num_seconds, 80, 96)
    ]
    return write_video(folder / f"{seed}.mp4", frames, rate=1)


def test_footage_is_sampled_once_a_second_inside_its_borders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalization, "MIN_ROWS", 30)
    encoder, told = _Quadrants(), []
    paths = [_footage(tmp_path, 1, 40), _footage(tmp_path, 2, 10, bar=16)]
    paths.append(write_video(tmp_path / "flat.mp4", flat_scene((90, 90, 90), 20, 80, 96), rate=1))
    fitted = fit_on_footage(paths, encoder, dim=4, on_progress=lambda path, num: told.append((path, num)))
    assert told == [(paths[0], 40), (paths[1], 50), (paths[2], 50)]
    assert fitted.num_fitted == 50
    assert fitted.encoder == encoder.identity
    assert {image.shape for image in encoder.seen[:40]} == {(80, 96, 3)}
    assert all(78 <= image.shape[0] <= 84 for image in encoder.seen[40:])
    expected_ND = encoder.embed(list(encoder.seen)).astype(np.float16)
    assert fit_normalization(expected_ND, encoder.identity, dim=4).digest == fitted.digest


def test_long_footage_is_sampled_more_thinly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "MIN_ROWS", 8)
    monkeypatch.setattr(normalization, "MAX_ROWS", 16)
    encoder = _Quadrants()
    fitted = fit_on_footage([_footage(tmp_path, 1, 60)], encoder, dim=4, beta=0.7, whitening=0.2)
    assert fitted.num_fitted == 15
    expected_ND = encoder.embed(encoder.seen[::4]).astype(np.float16)
    again = fit_normalization(expected_ND, encoder.identity, dim=4, beta=0.7, whitening=0.2)
    assert again.digest == fitted.digest


def test_footage_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path) -> None:
    broken = truncate_file(write_video(tmp_path / "broken.mkv", moving_scene(1, 60), rate=2), 0.5)
    with pytest.raises(MediaError, match=r"broken\.mkv"):
        fit_on_footage([broken], _Quadrants(), dim=4)


def test_no_footage_is_too_little() -> None:
    with pytest.raises(EncoderError, match="0 background frames with texture are too few"):
        fit_on_footage([], _Quadrants(), dim=4)
