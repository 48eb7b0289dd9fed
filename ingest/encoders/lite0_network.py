"""EfficientNet-Lite0 for a CPU: every convolution with its bias and ReLU6 is one call of oneDNN.

On one thread torch runs 1x1 convolutions by a slow path of its own, and activations and the lopsided padding of
TensorFlow as passes over memory. The operators that torch's compiler emits for oneDNN do all of it in one; called
here by hand they need no compiler on the user's machine and no time to start.

Shapes: B batch, C channels, H and W pixels, in channels-last memory. The sides of a picture are multiples of 32, so
that they are even wherever they are halved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from ingest.encoders.compute import Compute

_Activation = tuple[str, list[float], str]
_RELU6: _Activation = ("hardtanh", [0.0, 6.0], "")
_NO_ACTIVATION: _Activation = ("none", [], "")
_HINT_PIXELS = 700
"""The number of pixels for which oneDNN arranges the weights of a 1x1 convolution; any other number works as well."""
_NUM_EXACT_BLOCKS = 2
"""The stem and the first block stay in single precision: 8 bits of a pixel and their scaling do not fit into the 8
significant bits of a brain float. It raises the mean cosine to the vector in single precision from 0.997 to 0.999."""


class _Step(Protocol):
    def __call__(self, features_BCHW: torch.Tensor) -> torch.Tensor: ...


def can_fuse(compute: Compute) -> bool:
    """Whether `FusedLite0` runs on `compute`: an x86 processor with oneDNN, in float32 or bfloat16."""
    import torch

    return (
        compute.device.type == "cpu"
        and compute.dtype in {torch.float32, torch.bfloat16}
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    )


class FusedLite0:
    """The feature extractor of timm's `tf_efficientnet_lite0`, whose batch norms are folded away already."""

    def __init__(self, network: torch.nn.Module, dtype: torch.dtype) -> None:
        import torch

        self._blocks: list[tuple[list[_Step], bool]] = []
        for index, (convolutions, has_skip) in enumerate(_blocks_of(network)):
            block_dtype = torch.float32 if index < _NUM_EXACT_BLOCKS else dtype
            steps = [_step(conv, is_clamped, block_dtype) for conv, is_clamped in convolutions]
            self._blocks.append((steps, has_skip))

    def forward_features(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the features BCHW before pooling, in the network's format; call it in inference mode."""
        features_BCHW = pixels_BCHW
        for steps, has_skip in self._blocks:
            block_input = features_BCHW
            for step in steps:
                features_BCHW = step(features_BCHW)
            if has_skip:
                features_BCHW = features_BCHW.add_(block_input)
        return features_BCHW


def _blocks_of(network: Any) -> Iterator[tuple[list[tuple[Any, bool]], bool]]:
    """Yield the convolutions of each block, each with whether ReLU6 follows, and whether the block has a skip."""
    yield [(network.conv_stem, True)], False
    for stage in network.blocks:
        for block in stage:
            if hasattr(block, "conv_pwl"):
                yield [(block.conv_pw, True), (block.conv_dw, True), (block.conv_pwl, False)], block.has_skip
            else:
                yield [(block.conv_dw, True), (block.conv_pw, False)], block.has_skip
    yield [(network.conv_head, True)], False


def _step(convolution: Any, is_clamped: bool, dtype: torch.dtype) -> _Step:
    weight = convolution.weight.detach().to(dtype)
    bias = convolution.bias.detach().to(dtype)
    activation = _RELU6 if is_clamped else _NO_ACTIVATION
    if convolution.kernel_size == (1, 1):
        return _Pointwise(_packed(weight), bias, activation, dtype)
    stride = convolution.stride[0]
    kernel = _led(weight) if stride == 2 else weight
    return _Spatial(kernel, bias, activation, stride, convolution.kernel_size[0] // 2, convolution.groups)


def _packed(weight_OI11: torch.Tensor) -> torch.Tensor:
    import torch

    matrix_OI = weight_OI11.flatten(1).contiguous()
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(matrix_OI, _HINT_PIXELS)
    return packed


def _led(weight_OIKK: torch.Tensor) -> torch.Tensor:
    """Return the kernel with a row and a column of zeros before it.

    TensorFlow pads an even side by one more after than before it. The same numbers come from even padding and this
    kernel, which costs less than a padded copy of the features.
    """
    import torch

    led: torch.Tensor = torch.nn.functional.pad(weight_OIKK, (1, 0, 1, 0)).contiguous(
        memory_format=torch.channels_last
    )
    return led


@dataclass(frozen=True, slots=True)
class _Pointwise:
    """A 1x1 convolution: one matrix product over all pixels."""

    weight: torch.Tensor
    bias: torch.Tensor
    activation: _Activation
    dtype: torch.dtype

    def __call__(self, features_BCHW: torch.Tensor) -> torch.Tensor:
        import torch

        features_BHWC = features_BCHW.to(self.dtype).permute(0, 2, 3, 1)
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            features_BHWC, self.weight, self.bias, *self.activation
        )
        return result.permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class _Spatial:
    """The stem or a depthwise convolution, padded as TensorFlow does ("same")."""

    kernel: torch.Tensor
    bias: torch.Tensor
    activation: _Activation
    stride: int
    padding: int
    groups: int

    def __call__(self, features_BCHW: torch.Tensor) -> torch.Tensor:
        import torch

        result: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            features_BCHW.to(self.bias.dtype),
            self.kernel,
            self.bias,
            [self.padding, self.padding],
            [self.stride, self.stride],
            [1, 1],
            self.groups,
            *self.activation,
        )
        return result
