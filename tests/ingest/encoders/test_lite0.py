from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ingest.encoders import lite0, lite0_network
from ingest.encoders.compute import Compute, choose_compute
from ingest.encoders.lite0 import MEAN_FILE, Lite0Encoder, center, open_lite0, read_mean, write_mean
from ingest.errors import EncoderError
from tests.media import moving_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray


_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def encoder() -> Lite0Encoder:
    return open_lite0(choose_compute())


def _on_cpu(dtype: str) -> Compute:
    return Compute(device=torch.device("cpu"), dtype=getattr(torch, dtype), reason="chosen by the test")


def _images(num: int, height: int = 144, width: int = 192) -> list[NDArray[np.uint8]]:
    return [next(moving_scene(seed, 1, height, width)) for seed in range(num)]


def test_vectors_are_unit_rows_in_the_order_of_the_pictures(encoder: Lite0Encoder) -> None:
    """Pictures of one shape share a batch, which must neither reorder nor change them."""
    images = [*_images(2), *_images(2, 200, 120), *_images(5)]
    vectors_BD = encoder.embed(images)
    assert vectors_BD.dtype == np.float32
    assert vectors_BD.shape == (9, encoder.identity.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors_BD, axis=1), 1, atol=1e-5)
    for index, image in enumerate(images):
        np.testing.assert_allclose(encoder.embed([image])[0], vectors_BD[index], atol=1e-4)


def test_a_vector_does_not_depend_on_what_shares_the_batch(encoder: Lite0Encoder) -> None:
    images = _images(3)
    np.testing.assert_array_equal(encoder.embed(images), np.concatenate([encoder.embed([i]) for i in images]))


@pytest.mark.parametrize("size", [(192, 192), (150, 230), (301, 226)])
def test_the_fused_network_computes_what_the_plain_one_does(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """TensorFlow's lopsided padding is in the kernels of the one and in the features of the other."""
    single, brain = _on_cpu("float32"), _on_cpu("bfloat16")
    if not lite0_network.can_fuse(single):
        pytest.skip("needs an x86 processor with AVX2")
    images = _images(2, *size)
    fused_BD = open_lite0(single).embed_uncentered(images)
    brain_BD = open_lite0(brain).embed(images)
    monkeypatch.setattr(lite0, "can_fuse", lambda _: False)
    plain = open_lite0(single)
    np.testing.assert_allclose(plain.embed_uncentered(images), fused_BD, atol=1e-5)
    assert (plain.embed(images) * brain_BD).sum(axis=1).min() > 0.99


def test_other_devices_and_formats_keep_the_plain_network() -> None:
    assert not lite0_network.can_fuse(_on_cpu("float16"))
    on_gpu = Compute(device=torch.device("cuda", 0), dtype=torch.float16, reason="chosen by the test")
    assert not lite0_network.can_fuse(on_gpu)


def test_no_pictures_give_no_rows(encoder: Lite0Encoder) -> None:
    assert encoder.embed([]).shape == (0, encoder.identity.dim)


def test_a_mirrored_copy_is_nearer_than_other_scenes(encoder: Lite0Encoder) -> None:
    image, *others = _images(5)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    similarity_B = encoder.embed([mirrored, *others]) @ encoder.embed([image])[0]
    assert similarity_B[0] > similarity_B[1:].max()


def test_pretrained_weights_are_where_they_belong(encoder: Lite0Encoder) -> None:
    """A shuffled or untrained network gives one direction for everything; this one tells scenes apart."""
    vectors_BD = encoder.embed(_images(6))
    similarity_BB = vectors_BD @ vectors_BD.T
    assert similarity_BB[~np.eye(6, dtype=bool)].max() < 0.9


def test_the_identity_pins_weights_and_mean(encoder: Lite0Encoder, tmp_path: Path) -> None:
    mean = read_mean(MEAN_FILE)
    assert mean.num_images > 1000
    assert mean.sha256 in encoder.identity.preprocessing
    assert str(mean.num_images) in encoder.identity.preprocessing
    assert len(encoder.identity.weights_sha256) == 64
    write_mean(tmp_path / "other.safetensors", mean.vector_D * 0.5, 7)
    other = open_lite0(choose_compute(), mean_file=tmp_path / "other.safetensors")
    assert other.identity.digest != encoder.identity.digest
    assert other.identity.weights_sha256 == encoder.identity.weights_sha256


def test_a_mean_is_written_and_read_back_exactly(tmp_path: Path) -> None:
    vector_D = np.random.default_rng(1).normal(size=1280).astype(np.float32)
    write_mean(tmp_path / "new" / "mean.safetensors", vector_D, 42)
    read = read_mean(tmp_path / "new" / "mean.safetensors")
    np.testing.assert_array_equal(read.vector_D, vector_D, strict=True)
    assert read.num_images == 42


def test_a_missing_damaged_or_foreign_mean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be read"):
        read_mean(tmp_path / "missing.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(EncoderError, match="cannot be read"):
        read_mean(tmp_path / "damaged.safetensors")
    write_mean(tmp_path / "short.safetensors", np.zeros(3, dtype=np.float32), 1)
    with pytest.raises(EncoderError, match="expected"):
        read_mean(tmp_path / "short.safetensors")


def test_centering_removes_the_common_direction() -> None:
    random = np.random.default_rng(2)
    rows_BD = random.normal(size=(50, 64)).astype(np.float32) * 0.05 + 1
    rows_BD /= np.linalg.norm(rows_BD, axis=1, keepdims=True)
    centered_BD = center(rows_BD, rows_BD.mean(axis=0))
    assert (rows_BD @ rows_BD.T).min() > 0.9
    assert abs((centered_BD @ centered_BD.T)[~np.eye(50, dtype=bool)].mean()) < 0.1


def test_successive_frames_of_a_scene_stay_alike(encoder: Lite0Encoder) -> None:
    frames = list(islice(moving_scene(3, 13), 0, None, 12))
    first, second = encoder.embed(frames)
    assert float(first @ second) > 0.5


_EMBED_MANY_SIZES = """
import resource
import numpy as np
from ingest.encoders.compute import choose_compute
from ingest.encoders.lite0 import open_lite0

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def embed(aspects):
    for aspect in aspects:
        wide = np.zeros((320, round(320 * aspect), 3), dtype=np.uint8)
        encoder.embed([wide] * 5)
        encoder.embed([wide.transpose(1, 0, 2).copy()])

encoder = open_lite0(choose_compute())
embed([1.0, 2.5])
opened = peak_mib()
embed(np.arange(1.0, 2.6, 1 / 6))
known = peak_mib()
embed(np.arange(1.01, 3.0, 0.08))
print(round(known - opened), round(peak_mib() - known))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory as Linux counts it")
def test_memory_does_not_grow_with_the_number_of_picture_sizes() -> None:
    """Each new size used to keep some 15 MB, and a process that met many reached gigabytes."""
    done = subprocess.run(
        [sys.executable, "-c", _EMBED_MANY_SIZES], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    of_known_sizes, of_further_sizes = map(int, done.stdout.split())
    assert of_known_sizes <= 400
    assert of_further_sizes <= 48
