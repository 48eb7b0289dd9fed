"""The adapter of SSCD: a copy-detection network from a file of this machine, TorchScript or ONNX, as an encoder.

SSCD is "A Self-Supervised Descriptor for Image Copy Detection" (Pizzi et al. 2022). Its authors publish standalone
TorchScript files and the preprocessing that is repeated here: short side 288 with the aspect kept, bilinear with
antialias, ImageNet mean and standard deviation. Nothing is downloaded. A file is read once, and what was hashed is what
is loaded; as a network file is a program, naming its digest in the spec says whose program may run.

Shapes: N pictures, C channels, H and W pixels, D embedding.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from db.canonical import sha256_hex
from ingest.encoders.encoder import EncoderIdentity, SscdSpec
from ingest.errors import EncoderError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ingest.encoders.compute import Compute

_SHORT_SIDE = 288
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
_MAX_BATCH_GPU = 64
# More pictures at once were measured to be no faster on a CPU.
_MAX_BATCH_CPU = 1
# Not square, because pictures are not: a network for squares alone is found out when it is opened.
_PROBE_SIZE = (_SHORT_SIDE, 320)


class _Network(Protocol):
    """A loaded network file."""

    @property
    def format(self) -> str:
        """How the file is written."""

    @property
    def size(self) -> tuple[int, int] | None:
        """The only height and width that it takes; None where it takes any."""

    @property
    def max_batch(self) -> int:
        """How many pictures it takes at once."""

    def run(self, pixels_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's output. Raises `EncoderError` if it has none for this input."""


class SscdEncoder:
    """An SSCD network as an encoder; made by `sscd_encoder`."""

    def __init__(self, network: _Network, identity: EncoderIdentity) -> None:
        self._network = network
        self._identity = identity

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors may be compared with."""
        return self._identity

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed RGB pictures (each HWC uint8) as float32 ND unit rows. Pictures of one shape share a batch.

        Raises `EncoderError` if the network fails or returns something that has no direction.
        """
        vectors_ND = np.empty((len(images), self._identity.dim), dtype=np.float32)
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for position, image in enumerate(images):
            by_shape.setdefault(image.shape, []).append(position)
        for positions in by_shape.values():
            for start in range(0, len(positions), self._network.max_batch):
                batch = positions[start : start + self._network.max_batch]
                vectors_ND[batch] = self._embed_batch([images[position] for position in batch])
        return vectors_ND

    def _embed_batch(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        resized_NHWC = np.stack([_resized(image, self._network.size) for image in images])
        output_ND = self._network.run(_normalised(resized_NHWC))
        if output_ND.shape != (len(images), self._identity.dim):
            raise EncoderError(
                f"{self._identity.name}: {len(images)} pictures gave an output of shape {output_ND.shape}, "
                f"expected ({len(images)}, {self._identity.dim})"
            )
        norms_N1 = np.linalg.norm(output_ND, axis=1, keepdims=True)
        if not (np.isfinite(norms_N1).all() and norms_N1.all()):
            raise EncoderError(f"{self._identity.name}: a picture gave a vector that is zero or not finite")
        return np.asarray(output_ND / norms_N1, dtype=np.float32)


def sscd_encoder(spec: SscdSpec, compute: Compute) -> SscdEncoder:
    """Open the network file that `spec` names: `.onnx` through ONNX Runtime, anything else as TorchScript.

    ONNX runs in single precision, on the GPU only where ONNX Runtime was built for it.

    Raises `EncoderError` if the file is missing, has another digest than `spec` demands, is not such a network, does
    not turn RGB pictures into vectors, or ONNX Runtime is not installed.
    """
    content, sha256 = _read(spec)
    is_onnx = spec.path.suffix.lower() == ".onnx"
    network = _OnnxNetwork(content, spec, compute) if is_onnx else _TorchScriptNetwork(content, spec, compute)
    identity = EncoderIdentity(
        # Not the file's name: renaming the file must not part vectors that are comparable.
        name=f"sscd-{network.format}",
        weights_sha256=sha256,
        preprocessing=_preprocessing_text(network.size),
        dim=_probed_dim(network, spec),
    )
    return SscdEncoder(network, identity)


def _read(spec: SscdSpec) -> tuple[bytes, str]:
    try:
        content = spec.path.read_bytes()
    except OSError as exc:
        raise EncoderError(
            f"SSCD network {spec.path} cannot be read: {exc.strerror or exc}",
            hint="name a TorchScript or ONNX file on this machine: 'sscd:/path/to/file.torchscript.pt'",
        ) from exc
    sha256 = sha256_hex(content)
    if spec.sha256 not in {None, sha256}:
        raise EncoderError(
            f"SSCD network {spec.path} has sha256 {sha256}, the encoder spec demands {spec.sha256}",
            hint="put back the file that was chosen, or name the digest of this one",
        )
    return content, sha256


def _probed_dim(network: _Network, spec: SscdSpec) -> int:
    """Return how long the network's vectors are, by running it once."""
    height, width = network.size or _PROBE_SIZE
    grey_NHWC = np.full((1, height, width, 3), 127, dtype=np.uint8)
    output_ND = network.run(_normalised(grey_NHWC))
    if output_ND.ndim != 2 or output_ND.shape[0] != 1 or output_ND.shape[1] < 1:
        raise EncoderError(
            f"SSCD network {spec.path.name} gives an output of shape {output_ND.shape} for one picture, "
            "expected (1, dimensions)"
        )
    return int(output_ND.shape[1])


class _TorchScriptNetwork:
    """A TorchScript module on the chosen device."""

    format = "torchscript"
    size = None

    def __init__(self, content: bytes, spec: SscdSpec, compute: Compute) -> None:
        self._name = spec.path.name
        self._compute = compute
        self._module = _load_torchscript(content, spec, compute)
        self.max_batch = _MAX_BATCH_GPU if compute.device.type == "cuda" else _MAX_BATCH_CPU

    def run(self, pixels_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        device, dtype = self._compute.device, self._compute.dtype
        pixels = torch.from_numpy(pixels_NCHW).to(device)
        try:
            # Autocast leaves the powers of GeM pooling in single precision: halves would overflow.
            with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                output = self._module(pixels)
        except RuntimeError as exc:
            raise _failed_on(self._name, pixels_NCHW, exc) from exc
        if not isinstance(output, torch.Tensor):
            raise EncoderError(
                f"SSCD network {self._name} returns {type(output).__name__}, expected a tensor"
            )
        return cast("NDArray[np.float32]", output.float().cpu().numpy())


def _load_torchscript(content: bytes, spec: SscdSpec, compute: Compute) -> torch.nn.Module:
    import torch

    with warnings.catch_warnings():
        # torch calls TorchScript deprecated; it is the form in which SSCD is published, and loading it still works.
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is deprecated", category=FutureWarning)
        warnings.filterwarnings(
            "ignore", message=r"`torch\.jit\.load` is deprecated", category=DeprecationWarning
        )
        try:
            module: torch.nn.Module = torch.jit.load(io.BytesIO(content), map_location=compute.device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as exc:
            raise EncoderError(
                f"SSCD network {spec.path} is not a TorchScript file: {_brief(exc)}",
                hint="of the published files take '.torchscript.pt', not '.classy.pt' or '.torchvision.pt'",
            ) from exc
    return module.eval()


class _OnnxNetwork:
    """An ONNX model of one picture input, in ONNX Runtime."""

    format = "onnx"

    def __init__(self, content: bytes, spec: SscdSpec, compute: Compute) -> None:
        self._name = spec.path.name
        self._session = _open_session(content, spec, compute)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise EncoderError(
                f"SSCD network {self._name} takes {found}; expected one input tensor(float) of N, 3, H, W"
            )
        count, channels, height, width = inputs[0].shape
        # Axes without a fixed length bear a name or nothing.
        if isinstance(channels, int) and channels != 3:
            raise EncoderError(f"SSCD network {self._name} takes {channels} channels, expected 3")
        is_fixed = isinstance(height, int) and isinstance(width, int)
        self.size: tuple[int, int] | None = (height, width) if is_fixed else None
        is_gpu = "CUDAExecutionProvider" in self._session.get_providers()
        self.max_batch = count if isinstance(count, int) else _MAX_BATCH_GPU if is_gpu else _MAX_BATCH_CPU
        self._fixed_count = count if isinstance(count, int) else None
        self._input = inputs[0].name

    def run(self, pixels_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        count = len(pixels_NCHW)
        if self._fixed_count is not None:
            # The last batch is filled up with its first picture, whose extra vectors are dropped.
            filling = np.repeat(pixels_NCHW[:1], self._fixed_count - count, axis=0)
            pixels_NCHW = np.concatenate([pixels_NCHW, filling])
        try:
            output = self._session.run(None, {self._input: pixels_NCHW})[0]
        except _onnx_errors() as exc:
            raise _failed_on(self._name, pixels_NCHW, exc) from exc
        return np.asarray(output[:count], dtype=np.float32)


def _open_session(content: bytes, spec: SscdSpec, compute: Compute) -> Any:
    try:
        import onnxruntime
    except ImportError as exc:
        raise EncoderError(
            f"SSCD network {spec.path} is an ONNX file, but ONNX Runtime is not installed",
            hint="pip install cleartitle[onnx]",
        ) from exc
    import torch

    options = onnxruntime.SessionOptions()
    # It would take every core, whatever was said to torch and OpenMP.
    options.intra_op_num_threads = torch.get_num_threads()
    wanted = ["CUDAExecutionProvider"] if compute.device.type == "cuda" else []
    usable = [name for name in wanted if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(content, options, providers=[*usable, "CPUExecutionProvider"])
    except _onnx_errors() as exc:
        raise EncoderError(
            f"SSCD network {spec.path} is not an ONNX model that can be run: {_brief(exc)}",
            hint="weights in files beside the model are not read, as no digest covers them: save it as one file",
        ) from exc


def _onnx_errors() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises; its errors share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (value for value in vars(state).values() if isinstance(value, type))
    return (*(error for error in found if issubclass(error, Exception)), RuntimeError, ValueError)


def _failed_on(name: str, pixels_NCHW: NDArray[np.float32], exc: Exception) -> EncoderError:
    _, _, height, width = pixels_NCHW.shape
    return EncoderError(f"SSCD network {name} fails on a picture of {width}x{height}: {_brief(exc)}")


def _brief(exc: Exception) -> str:
    # TorchScript puts the reason last, after its own trace.
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return textwrap.shorten(lines[-1] if lines else type(exc).__name__, 300)


def _resized(image: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Scale an HWC picture to `size`, or so that its short side is 288 and its aspect stays."""
    from PIL import Image

    height, width = image.shape[:2]
    if size is None:
        # The long side is rounded down, as torchvision does.
        short = min(height, width)
        size = (_SHORT_SIDE * height // short, _SHORT_SIDE * width // short)
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _normalised(resized_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled_NHWC = resized_NHWC.astype(np.float32) / np.float32(255)
    standard_NHWC = (scaled_NHWC - _MEAN) / _STD
    return np.ascontiguousarray(standard_NHWC.transpose(0, 3, 1, 2))


def _preprocessing_text(size: tuple[int, int] | None) -> str:
    """Describe every step around the network; part of the encoder's identity."""
    resize = f"squashed to {size[1]}x{size[0]}" if size else f"short side {_SHORT_SIDE}, aspect kept"
    mean, std = (",".join(f"{number:g}" for number in numbers) for numbers in (_MEAN, _STD))
    return f"RGB; {resize}, bilinear with antialias; x/255; mean {mean}; std {std}; L2"
