"""Drawing clips from a trained model. Same weights, prompt and seed: same clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.randomness import generator_for

if TYPE_CHECKING:
    from torch import Tensor

    from training.model import VideoDiT
    from training.tokenizer import PcaTokenizer
    from training.vocabulary import Vocabulary


def draw_clip(
    model: VideoDiT,
    tokenizer: PcaTokenizer,
    vocabulary: Vocabulary,
    prompt: str,
    seed: int,
    *,
    num_steps: int,
    guidance: float,
    temperature: float,
) -> Tensor:
    """Draw one clip for `prompt` as uint8 RGB TCHW on the CPU.

    The noise that a clip begins with is scaled by `temperature`: below 1, variety is traded for cleaner pictures.
    Words that no training caption held are left out (`vocabulary.unknown_words` names them); a prompt without
    a known word is drawn as if it were empty. Bit-identical on one kind of CPU; close, not equal, across
    devices.
    """
    import torch

    from training.flow import sample_tokens

    device = tokenizer.mean_P.device
    noise_1NK = torch.randn(
        (1, tokenizer.num_tokens, tokenizer.num_components), generator=generator_for("sample", "noise", seed)
    )
    words_1L = torch.tensor([vocabulary.encode(prompt, len(model.word_position_LD))])
    tokens_1NK = sample_tokens(
        model,
        temperature * noise_1NK.to(device),
        words_1L.to(device),
        num_steps=num_steps,
        guidance=guidance,
    )
    return tokenizer.decode(tokens_1NK[0])


def draw_clips(
    model: VideoDiT,
    tokenizer: PcaTokenizer,
    vocabulary: Vocabulary,
    prompts: Sequence[str],
    seed: int,
    *,
    num_steps: int,
    guidance: float,
    temperature: float,
) -> Tensor:
    """Draw one clip per prompt as uint8 RGB BTCHW; prompt i uses `seed + i` and can be drawn again alone.

    Clips are drawn one by one: in a batch, the last digits of each would depend on the others.
    """
    import torch

    return torch.stack(
        [
            draw_clip(
                model,
                tokenizer,
                vocabulary,
                prompt,
                seed + number,
                num_steps=num_steps,
                guidance=guidance,
                temperature=temperature,
            )
            for number, prompt in enumerate(prompts)
        ]
    )
