"""Drawing clips from a trained model. Same weights, prompt and seed: same clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from training.randomness import generator_for

if TYPE_CHECKING:
    from torch import Tensor

    from training.model import VideoDiT
    from training.tokenizer import Tokenizer
    from training.video_model import VariedClip
    from training.vocabulary import Vocabulary


def first_step_of(num_steps: int, strength_percent: int) -> int:
    """Return the step that the walk of a varied clip begins with; at least one is left."""
    return num_steps - max(1, round(num_steps * strength_percent / 100))


def draw_clip(
    model: VideoDiT,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    prompt: str,
    seed: int,
    *,
    num_steps: int,
    guidance: float,
    temperature: float,
    segment: int = 0,
    known_CHW: Mapping[int, Tensor] | None = None,
    varied: VariedClip | None = None,
) -> Tensor:
    """Draw one clip for `prompt` as uint8 RGB TCHW on the CPU.

    The noise that a clip begins with is scaled by `temperature`: below 1, variety is traded for cleaner pictures.
    `segment`: the segments of a longer clip have noise of their own. `known_CHW`: uint8 frames that it is to have, by
    their place. `varied`: a clip to depart from, instead of from noise alone. Words that no training caption held are
    left out (`vocabulary.unknown_words` names them); a prompt without a known word is drawn as if it were empty.
    Bit-identical on one kind of CPU; close, not equal, across devices.
    """
    import torch

    from training.flow import sample_tokens
    from training.steering import know_frames

    device = tokenizer.device
    run = "sample" if segment == 0 else f"sample:{segment}"
    noise_1NK = torch.randn(
        (1, tokenizer.num_tokens, tokenizer.num_components), generator=generator_for(run, "noise", seed)
    )
    start_1NK = temperature * noise_1NK.to(device)
    first_step = 0
    if varied is not None:
        first_step = first_step_of(num_steps, varied.strength_percent)
        time = first_step / num_steps
        start_1NK = (1.0 - time) * start_1NK + time * tokenizer.encode(varied.frames_TCHW)
    words_1L = torch.tensor([vocabulary.encode(prompt, len(model.word_position_LD))])
    tokens_1NK = sample_tokens(
        model,
        start_1NK,
        words_1L.to(device),
        num_steps=num_steps,
        guidance=guidance,
        first_step=first_step,
        steering=know_frames(tokenizer, known_CHW) if known_CHW else None,
    )
    return tokenizer.decode(tokens_1NK[0])
