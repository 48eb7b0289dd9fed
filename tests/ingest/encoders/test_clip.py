from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest

from db.canonical import sha256_hex
from ingest.encoders.clip import fetch_open_clip, open_clip_encoder
from ingest.encoders.compute import Compute
from ingest.encoders.encoder import OpenClipSpec
from ingest.errors import EncoderError
from tests.media import moving_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MODEL = "tiny-test-vit"
_TAG = "made_here"
_REPOSITORY = "nobody/tiny"
_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module", autouse=True)
def _tiny_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Teach open_clip a model that is built in no time."""
    import open_clip

    path = tmp_path_factory.mktemp("configs") / f"{_MODEL}.json"
    path.write_text(json.dumps(_CONFIG), encoding="utf-8")
    open_clip.add_model_config(path)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def _refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", _refuse)
    monkeypatch.setattr("socket.getaddrinfo", _refuse)


@pytest.fixture
def tagged(monkeypatch: pytest.MonkeyPatch) -> OpenClipSpec:
    """A pretrained tag of the tiny model, with preprocessing and an activation of its own."""
    table = {
        _TAG: {
            "hf_hub": f"{_REPOSITORY}/",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "interpolation": "bilinear",
            "resize_mode": "squash",
            "quick_gelu": True,
        }
    }
    monkeypatch.setitem(_pretrained_table(), _MODEL, table)
    return OpenClipSpec(model=_MODEL, tag=_TAG)


def _pretrained_table() -> dict[str, Any]:
    from open_clip import pretrained

    table: dict[str, Any] = pretrained._PRETRAINED
    return table


def _compute(dtype: str = "float32") -> Compute:
    import torch

    return Compute(device=torch.device("cpu"), dtype=getattr(torch, dtype), reason="tests")


def _model(*, quick_gelu: bool = False) -> Any:
    """Build the whole model, text half and all, with random weights that are the same every time."""
    import open_clip
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(7)
        return open_clip.create_model(
            _MODEL, force_quick_gelu=quick_gelu, pretrained_text=False, load_weights=False
        ).eval()


def _checkpoint(folder: Path, name: str = "tiny.safetensors") -> Path:
    import torch
    from safetensors.torch import save_file

    tensors = {key: tensor.contiguous() for key, tensor in _model().state_dict().items()}
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        # As open_clip's own training writes it.
        torch.save(
            {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in tensors.items()}}, path
        )
    return path


def _cached_checkpoint(cache: Path) -> Path:
    """Lay weights into a Hugging Face cache as a download would."""
    folder, commit = cache / f"models--{_REPOSITORY.replace('/', '--')}", "a" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit, encoding="utf-8")
    return _checkpoint(folder / "snapshots" / commit, "open_clip_model.safetensors")


def _pictures() -> list[NDArray[np.uint8]]:
    wide, tall = list(moving_scene(1, 6, 48, 80)), list(moving_scene(2, 5, 90, 40))
    return [picture for pair in zip(wide, tall, strict=False) for picture in pair] + wide[5:]


def _expected(model: Any, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Embed one by one with open_clip's own whole model and transform."""
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    with torch.inference_mode():
        rows = [model.encode_image(transform(Image.fromarray(p))[None], normalize=True) for p in pictures]
    return np.asarray(torch.cat(rows).numpy(), dtype=np.float32)


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.pt", "tiny.bin"])
def test_a_checkpoint_file_embeds_as_open_clip_itself_does(tmp_path: Path, name: str) -> None:
    spec = OpenClipSpec(model=_MODEL, checkpoint=_checkpoint(tmp_path, name))
    vectors_BD = open_clip_encoder(spec, _compute(), cache_dir=None).embed(_pictures())
    assert vectors_BD.shape == (11, 24)
    assert vectors_BD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors_BD, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors_BD, _expected(_model(), _pictures()), atol=1e-5)


def test_the_identity_pins_the_file_and_the_preprocessing(tmp_path: Path) -> None:
    path = _checkpoint(tmp_path)
    identity = open_clip_encoder(
        OpenClipSpec(model=_MODEL, checkpoint=path), _compute(), cache_dir=None
    ).identity
    assert identity.name == f"open_clip:{_MODEL}"
    assert identity.weights_sha256 == sha256_hex(path.read_bytes())
    assert identity.preprocessing == (
        "RGB; resize shortest to 32x32, bicubic; fill 0; "
        "mean 0.48145466,0.4578275,0.40821073; std 0.26862954,0.26130258,0.27577711; L2"
    )
    assert identity.dim == 24


def test_no_pictures_give_no_vectors(tmp_path: Path) -> None:
    spec = OpenClipSpec(model=_MODEL, checkpoint=_checkpoint(tmp_path))
    assert open_clip_encoder(spec, _compute(), cache_dir=None).embed([]).shape == (0, 24)


def test_half_precision_gives_nearly_the_same_vectors(tmp_path: Path) -> None:
    spec = OpenClipSpec(model=_MODEL, checkpoint=_checkpoint(tmp_path))
    single_BD = open_clip_encoder(spec, _compute(), cache_dir=None).embed(_pictures())
    half_BD = open_clip_encoder(spec, _compute("float16"), cache_dir=None).embed(_pictures())
    assert half_BD.dtype == np.float32
    np.testing.assert_allclose(half_BD, single_BD, atol=5e-3)
    assert not np.array_equal(half_BD, single_BD)


@pytest.mark.gpu
def test_a_gpu_gives_nearly_the_same_vectors_as_a_cpu(tmp_path: Path) -> None:
    from ingest.encoders.compute import choose_compute

    spec = OpenClipSpec(model=_MODEL, checkpoint=_checkpoint(tmp_path))
    on_cpu_BD = open_clip_encoder(spec, _compute(), cache_dir=None).embed(_pictures())
    on_gpu_BD = open_clip_encoder(spec, choose_compute(), cache_dir=None).embed(_pictures())
    np.testing.assert_allclose(on_gpu_BD, on_cpu_BD, atol=5e-3)


def test_a_cached_tag_brings_its_own_preprocessing_and_activation(
    tmp_path: Path, tagged: OpenClipSpec
) -> None:
    """The model's configuration alone does not say that these weights were trained with QuickGELU."""
    path = _cached_checkpoint(tmp_path)
    encoder = open_clip_encoder(tagged, _compute(), cache_dir=tmp_path)
    assert encoder.identity.name == f"open_clip:{_MODEL}/{_TAG}"
    assert encoder.identity.weights_sha256 == sha256_hex(path.read_bytes())
    assert encoder.identity.preprocessing == (
        "RGB; resize squash to 32x32, bilinear; fill 0; mean 0.5,0.5,0.5; std 0.25,0.25,0.25; L2"
    )
    model = _model(quick_gelu=True)
    model.visual.preprocess_cfg |= {
        "mean": (0.5,) * 3,
        "std": (0.25,) * 3,
        "interpolation": "bilinear",
        "resize_mode": "squash",
    }
    np.testing.assert_allclose(encoder.embed(_pictures()), _expected(model, _pictures()), atol=1e-5)


def test_a_tag_that_was_not_fetched_says_how_to_fetch_it(tmp_path: Path, tagged: OpenClipSpec) -> None:
    with pytest.raises(EncoderError, match="are not on this machine") as raised:
        open_clip_encoder(tagged, _compute(), cache_dir=tmp_path)
    assert raised.value.hint == f"cleartitle encoder fetch open_clip:{_MODEL}/{_TAG}"


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(EncoderError, match="no model 'ViT-B32'") as raised:
        open_clip_encoder(OpenClipSpec(model="ViT-B32", tag="openai"), _compute(), cache_dir=None)
    assert "ViT-B-32" in str(raised.value.hint)
    with pytest.raises(EncoderError, match="no pretrained tag 'opnai'") as raised:
        fetch_open_clip(OpenClipSpec(model="ViT-B-32", tag="opnai"), cache_dir=None)
    assert "openai" in str(raised.value.hint)


@pytest.mark.parametrize("model", ["hf-hub:nobody/tiny", "local-dir:models"])
def test_names_that_would_be_looked_up_elsewhere_are_unknown(model: str) -> None:
    with pytest.raises(EncoderError, match="open_clip has no model"):
        open_clip_encoder(OpenClipSpec(model=model, tag="any"), _compute(), cache_dir=None)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    spec = OpenClipSpec(model="ViT-S-32-alt", checkpoint=_checkpoint(tmp_path))
    with pytest.raises(EncoderError, match=r"tiny\.safetensors does not fit open_clip model ViT-S-32-alt"):
        open_clip_encoder(spec, _compute(), cache_dir=None)


class _Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the checkpoint ran code",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.pt", None),
        ("empty.pt", b""),
        ("prose.pt", b"The train leaves at nine.\n" * 50),
        ("prose.safetensors", b"The train leaves at nine.\n" * 50),
        ("code.pt", pickle.dumps({"weight": _Malicious()}, protocol=2)),
        ("number.bin", pickle.dumps(7, protocol=2)),
        ("nothing.bin", pickle.dumps({}, protocol=2)),
        ("tiny.onnx", b"x"),
    ],
)
def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EncoderError, match=name):
        open_clip_encoder(OpenClipSpec(model=_MODEL, checkpoint=path), _compute(), cache_dir=None)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    for name in ("cut.safetensors", "cut.pt"):
        path = _checkpoint(tmp_path, name)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(EncoderError, match=name):
            open_clip_encoder(OpenClipSpec(model=_MODEL, checkpoint=path), _compute(), cache_dir=None)


def test_fetch_returns_what_is_already_there(
    tmp_path: Path, tagged: OpenClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _cached_checkpoint(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch_open_clip(tagged, cache_dir=tmp_path) == path


def test_a_failed_download_is_reported(
    tmp_path: Path, tagged: OpenClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="could not be downloaded"):
        fetch_open_clip(tagged, cache_dir=tmp_path)
