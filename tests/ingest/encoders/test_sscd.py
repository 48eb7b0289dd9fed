"""Networks with random weights, saved to disk and opened by the loaders that open the published ones."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ingest.encoders.compute import Compute
from ingest.encoders.encoder import SscdSpec, open_encoder
from ingest.encoders.sscd import SscdEncoder, sscd_encoder
from ingest.errors import EncoderError
from tests.media import moving_scene

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_DIM = 24


def _compute() -> Compute:
    import torch

    return Compute(device=torch.device("cpu"), dtype=torch.float32, reason="chosen by the test")


def _network() -> torch.nn.Module:
    """Return what SSCD is in small: a residual network, GeM pooling with p = 3, a linear layer."""
    import torch
    from torchvision.models.resnet import BasicBlock

    class Gem(torch.nn.Module):
        def forward(self, features_NCHW: torch.Tensor) -> torch.Tensor:
            return features_NCHW.clamp(min=1e-6).pow(3.0).mean(dim=(2, 3)).pow(1.0 / 3.0)

    with torch.random.fork_rng():
        torch.manual_seed(3)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 7, stride=8),
            torch.nn.ReLU(),
            BasicBlock(8, 8),
            Gem(),
            torch.nn.Linear(8, _DIM),
        ).eval()


def _saved(module: torch.nn.Module, path: Path) -> Path:
    import torch

    with warnings.catch_warnings():
        # torch calls TorchScript deprecated; it is what the published files are.
        warnings.simplefilter("ignore", FutureWarning)
        traced = torch.jit.trace(module, torch.zeros(1, 3, 96, 128))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, str(path))
    return path


@pytest.fixture(scope="module")
def torchscript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(_network(), tmp_path_factory.mktemp("sscd") / "net.torchscript.pt")


@pytest.fixture(scope="module")
def encoder(torchscript: Path) -> SscdEncoder:
    return sscd_encoder(SscdSpec(torchscript), _compute())


def _published(image: NDArray[np.uint8], module: torch.nn.Module, size: int | list[int] = 288) -> Any:
    """Embed as the authors' README does."""
    import torch
    from PIL import Image
    from torchvision import transforms

    small_288 = transforms.Compose(
        [
            transforms.Resize(size),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    with torch.inference_mode():
        return torch.nn.functional.normalize(module(small_288(Image.fromarray(image))[None]))[0].numpy()


@pytest.mark.parametrize("size", [(144, 192), (300, 201), (720, 406), (288, 288)])
def test_pictures_are_prepared_as_the_authors_do(encoder: SscdEncoder, size: tuple[int, int]) -> None:
    image = next(moving_scene(1, 1, *size))
    np.testing.assert_allclose(encoder.embed([image])[0], _published(image, _network()), atol=1e-5)


def test_vectors_are_unit_rows_in_order_whatever_the_sizes(encoder: SscdEncoder) -> None:
    images = [*moving_scene(1, 2), *moving_scene(2, 1, 90, 60), *moving_scene(3, 2)]
    vectors_ND = encoder.embed(images)
    assert vectors_ND.shape == (5, _DIM)
    assert vectors_ND.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1, atol=1e-6)
    for image, vector_D in zip(images, vectors_ND, strict=True):
        np.testing.assert_allclose(encoder.embed([image])[0], vector_D, atol=1e-6)
    assert encoder.embed([]).shape == (0, _DIM)


def test_the_identity_names_the_bytes_and_not_the_file(torchscript: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "renamed.pt"
    elsewhere.write_bytes(torchscript.read_bytes())
    identity = sscd_encoder(SscdSpec(torchscript), _compute()).identity
    assert identity.name == "sscd-torchscript"
    assert identity.weights_sha256 == hashlib.sha256(torchscript.read_bytes()).hexdigest()
    assert identity.dim == _DIM
    assert "short side 288, aspect kept" in identity.preprocessing
    assert sscd_encoder(SscdSpec(elsewhere), _compute()).identity == identity


def test_a_configured_spec_opens_the_file_that_has_the_digest(torchscript: Path) -> None:
    sha256 = hashlib.sha256(torchscript.read_bytes()).hexdigest()
    choice = open_encoder(f"sscd:{torchscript}#sha256={sha256.upper()}", _compute())
    assert choice.encoder.identity.weights_sha256 == sha256
    assert choice.reason.startswith("sscd-torchscript serves: configured as 'sscd:")


def test_another_file_than_the_pinned_one_is_refused(torchscript: Path) -> None:
    with pytest.raises(EncoderError, match="demands 0000") as raised:
        open_encoder(f"sscd:{torchscript}#sha256={'0' * 64}", _compute())
    assert str(torchscript) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"absent\.pt cannot be read: No such file"):
        open_encoder(f"sscd:{tmp_path}/absent.pt", _compute())


def _plain_weights(path: Path) -> None:
    import torch

    torch.save(_network().state_dict(), path)


@pytest.mark.parametrize(
    "fill",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no network at all"),
        lambda path: path.write_bytes(_saved(_network(), path).read_bytes()[:-500]),
        _plain_weights,
    ],
    ids=["empty", "junk", "truncated", "plain weights"],
)
def test_what_is_no_torchscript_is_refused(tmp_path: Path, fill: Callable[[Path], Any]) -> None:
    path = tmp_path / "weights.pt"
    fill(path)
    with pytest.raises(EncoderError, match=r"weights\.pt is not a TorchScript file") as raised:
        sscd_encoder(SscdSpec(path), _compute())
    assert ".torchscript.pt" in str(raised.value.hint)


def _module(body: Callable[[Any], Any]) -> torch.nn.Module:
    import torch

    class Body(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> Any:
            return body(pixels)

    return Body()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: x, r"output of shape \(1, 3, 288, 320\)"),
        (lambda x: (x.mean(dim=(2, 3)), x), "returns tuple, expected a tensor"),
        (lambda x: x[:, :, :96, :128].reshape(1, 3 * 96 * 128)[:, :5].mean(), r"output of shape \(\)"),
    ],
)
def test_a_network_that_gives_no_vector_is_refused_on_opening(
    tmp_path: Path, body: Callable[[Any], Any], message: str
) -> None:
    path = _saved(_module(body), tmp_path / "odd.pt")
    with pytest.raises(EncoderError, match=message):
        sscd_encoder(SscdSpec(path), _compute())


def test_a_network_for_squares_alone_is_refused_on_opening(tmp_path: Path) -> None:
    import torch

    flat = torch.nn.Sequential(torch.nn.AvgPool2d(32), torch.nn.Flatten(), torch.nn.Linear(3 * 3 * 4, _DIM))
    path = _saved(flat, tmp_path / "squares.pt")
    with pytest.raises(EncoderError, match=r"squares\.pt fails on a picture of 320x288"):
        sscd_encoder(SscdSpec(path), _compute())


def test_a_vector_without_direction_is_refused(tmp_path: Path) -> None:
    path = _saved(_module(lambda x: (x - x).mean(dim=(2, 3))), tmp_path / "zero.pt")
    opened = sscd_encoder(SscdSpec(path), _compute())
    with pytest.raises(EncoderError, match="zero or not finite"):
        opened.embed(list(moving_scene(1, 1)))


def _onnx_file(path: Path, shape: list[int | str | None]) -> torch.nn.Module:
    """Write a convolution, GeM and a linear layer as ONNX; return the same as a torch module."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed, so no ONNX file can be written")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    random = np.random.default_rng(4)
    tensors: dict[str, NDArray[Any]] = {
        "kernel": random.normal(0, 0.1, (8, 3, 7, 7)).astype(np.float32),
        "matrix": random.normal(0, 1, (8, _DIM)).astype(np.float32),
        "three": np.array(3, dtype=np.float32),
        "third": np.array(1 / 3, dtype=np.float32),
        "tiny": np.array(1e-6, dtype=np.float32),
        "axes": np.array([2, 3], dtype=np.int64),
    }
    node = onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("Conv", ["picture", "kernel"], ["a"], strides=[8, 8]),
            node("Max", ["a", "tiny"], ["b"]),
            node("Pow", ["b", "three"], ["c"]),
            node("ReduceMean", ["c", "axes"], ["d"], keepdims=0),
            node("Pow", ["d", "third"], ["e"]),
            node("MatMul", ["e", "matrix"], ["vector"]),
        ],
        "small",
        [onnx.helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("vector", onnx.TensorProto.FLOAT, [shape[0], _DIM])],
        [onnx.numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save_model(model, str(path))
    return _as_module(tensors)


def _as_module(tensors: dict[str, NDArray[Any]]) -> torch.nn.Module:
    import torch

    kernel, matrix = torch.from_numpy(tensors["kernel"]), torch.from_numpy(tensors["matrix"])

    def _run(pixels: torch.Tensor) -> torch.Tensor:
        features = torch.nn.functional.conv2d(pixels, kernel, stride=8).clamp(min=1e-6)
        return features.pow(3).mean(dim=(2, 3)).pow(1 / 3) @ matrix

    return _module(_run)


@pytest.mark.parametrize(
    ("shape", "resize"),
    [
        (["N", 3, "H", "W"], 288),
        ([None, 3, None, None], 288),
        ([2, 3, "H", "W"], 288),
        (["N", 3, 96, 128], [96, 128]),
    ],
)
def test_an_onnx_file_gives_the_vectors_of_its_network(
    tmp_path: Path, shape: list[int | str | None], resize: int | list[int]
) -> None:
    module = _onnx_file(tmp_path / "net.onnx", shape)
    opened = open_encoder(f"sscd:{tmp_path}/net.onnx", _compute()).encoder
    images = [*moving_scene(1, 3), *moving_scene(2, 1, 200, 150)]
    vectors_ND = opened.embed(images)
    for image, vector_D in zip(images, vectors_ND, strict=True):
        np.testing.assert_allclose(vector_D, _published(image, module, resize), atol=1e-4)
    assert opened.identity.name == "sscd-onnx"
    assert opened.identity.dim == _DIM
    assert ("squashed to 128x96" in opened.identity.preprocessing) == (resize != 288)


@pytest.mark.parametrize("content", [b"", b"no network at all"])
def test_what_is_no_onnx_model_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    path = tmp_path / "weights.onnx"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="is not an ONNX model that can be run"):
        sscd_encoder(SscdSpec(path), _compute())


@pytest.mark.parametrize("shape", [["N", 4, "H", "W"], ["N", 3]])
def test_an_onnx_model_of_something_else_than_pictures_is_refused(
    tmp_path: Path, shape: list[int | str | None]
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed, so no ONNX file can be written")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, shape)],
    )
    path = tmp_path / "other.onnx"
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save_model(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    with pytest.raises(EncoderError, match=r"other\.onnx takes .*expected"):
        sscd_encoder(SscdSpec(path), _compute())


def test_onnx_without_its_runtime_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path = tmp_path / "net.onnx"
    path.write_bytes(b"anything")
    with pytest.raises(EncoderError, match="ONNX Runtime is not installed") as raised:
        sscd_encoder(SscdSpec(path), _compute())
    assert raised.value.hint == "pip install cleartitle[onnx]"
