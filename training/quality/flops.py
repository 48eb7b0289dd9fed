"""Floating-point operations of drawing a clip and of a training step, counted without doing either.

The model and the sampler run once on tensors that have shapes and no data (PyTorch's meta device) under PyTorch's
FlopCounterMode, which counts matrix products, convolutions and attention; a multiplication with its addition is 2.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from db.errors import ConfigError

if TYPE_CHECKING:
    from training.config import TrainingConfig
    from training.weights import TrainedModel


def count_flops(
    trained: TrainedModel, num_frames: int, height: int, width: int, steps: int, guidance: float
) -> int:
    """Return the floating-point operations of drawing one clip of that shape in `steps` steps.

    The shape is that of the model's own clips, before they are scaled to the size of the file. Guidance runs the
    model with and without the caption, which doubles the passes; the sampler itself is run, so this cannot go stale.
    Encoding the file is not counted.
    Raises `ConfigError` for no steps, `TrainingConfigError` for a shape that the model's patches do not fill.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from training.flow import sample_tokens
    from training.model import VideoDiT

    if steps < 1:
        raise ConfigError(f"a clip is drawn in at least 1 step, not {steps}")
    config = dataclasses.replace(trained.config, num_frames=num_frames, height=height, width=width)
    num_components = trained.tokenizer.num_components
    num_tokens = math.prod(config.token_grid)
    with torch.device("meta"):
        model = VideoDiT(config, num_components=num_components, num_ids=trained.vocabulary.num_ids)
        noise_1NK = torch.empty((1, num_tokens, num_components))
        words_1L = torch.empty((1, config.max_words), dtype=torch.long)
    step, decoding = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with step:
        tokens_1NK = sample_tokens(model, noise_1NK, words_1L, num_steps=1, guidance=guidance)
    with decoding:
        # What decoding multiplies; the rest of it ends on the CPU, which tensors without data cannot.
        trained.tokenizer.to("meta").patches(tokens_1NK[0])
    return steps * step.get_total_flops() + decoding.get_total_flops()


def count_step_flops(config: TrainingConfig, *, num_components: int, num_ids: int) -> int:
    """Return the floating-point operations of the loss of one batch and of its gradient.

    Captions count as `max_words` long; a batch of shorter ones takes a little less. The optimiser is not counted.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from training.flow import flow_loss
    from training.model import VideoDiT

    with torch.device("meta"):
        model = VideoDiT(config, num_components=num_components, num_ids=num_ids)
        tokens_BNK = torch.empty((config.batch_size, math.prod(config.token_grid), num_components))
        words_BL = torch.empty((config.batch_size, config.max_words), dtype=torch.long)
        time_B = torch.empty(config.batch_size)
    with FlopCounterMode(display=False) as counter:
        loss = flow_loss(
            model,
            tokens_BNK,
            words_BL,
            time_B=time_B,
            noise_BNK=torch.empty_like(tokens_BNK),
            weight_B1K=model.parametrisation.error_weight(time_B),
        )
        loss.backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())
