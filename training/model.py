"""The reference model: a small text-conditioned diffusion transformer over video tokens.

After Peebles and Xie 2023, "Scalable Diffusion Models with Transformers" (DiT, adaLN-Zero, section 3.2);
captions enter twice, as extra keys and values of every attention and, averaged, beside the time in the
modulation.

What its numbers mean, `training.parametrisation` says. Models of principal components learn from nothing where their
tokens stand; those of pixels, which have more tokens, begin with waves over time, row and column, turn queries and keys
by them at unit power (query-key normalisation, Dehghani et al. 2023, arXiv 2302.05442, keeps attention in bounds at
half precision), and read every caption at its full length, which spares attention a mask.

Shapes: B clips, N video tokens of a clip, K values of a token, L words of a caption, D features
(`model_width`), A attention heads of E features. Time t runs from 0 (noise) to 1 (footage).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import PCA, PIXELS, TrainingConfig
from training.parametrisation import Footage, Parametrisation, Spectrum
from training.places import Turning, turning, wave_table
from training.vocabulary import PADDING_ID

ARCHITECTURES = {PCA: "cleartitle-video-dit/2", PIXELS: "cleartitle-pixel-dit/1"}
"""Names by tokenizer, stored with weights; a name changes whenever old weights would mean something else."""

_MLP_RATIO = 4


def architecture_of(config: TrainingConfig) -> str:
    """Return the name that is stored with weights of this configuration."""
    return ARCHITECTURES[config.tokenizer]


class VideoDiT(nn.Module):
    """Predicts the velocity of video tokens from noisy tokens, time and caption.

    Parameters are not initialised by the constructor but by `initialise`, from an explicit generator.
    """

    variance_K: Tensor | None
    """Of the values of a token over the footage, from the tokenizer; not trained. `None`: not known."""

    def __init__(self, config: TrainingConfig, *, num_components: int, num_ids: int) -> None:
        super().__init__()
        width, is_pixels = config.model_width, config.tokenizer == PIXELS
        self.grid = config.token_grid
        self.head_width = width // config.num_heads
        self.is_turning = self.reads_whole_captions = is_pixels
        self.num_components = num_components
        self.num_tokens = math.prod(self.grid)
        self.register_buffer("variance_K", None if is_pixels else torch.empty(num_components))
        self.embed_tokens = nn.Linear(num_components, width)
        self.token_position_ND = nn.Parameter(torch.empty(self.num_tokens, width))
        self.embed_words = nn.Embedding(num_ids, width)
        self.word_position_LD = nn.Parameter(torch.empty(config.max_words, width))
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.model_depth))
        self.modulate_output = nn.Linear(width, 2 * width)
        self.predict = nn.Linear(width, num_components)

    def forward(self, tokens_BNK: Tensor, time_B: Tensor, words_BL: Tensor) -> Tensor:
        """Return the velocity BNK. `words_BL` holds up to `max_words` ids; a row of padding is no caption."""
        is_word_BL = words_BL != PADDING_ID
        weight_BL1 = is_word_BL[..., None].to(tokens_BNK.dtype)
        text_BLD = (self.embed_words(words_BL) + self.word_position_LD[: words_BL.shape[1]]) * weight_BL1
        # Divided by the root of the number of words: a sum grows with the caption, a mean drowns its words.
        pooled_BD = text_BLD.sum(dim=1) / weight_BL1.sum(dim=1).clamp_min(1.0).sqrt()
        time_BD = self.embed_time(time_features(time_B, self.token_position_ND.shape[1]))
        condition_BD = functional.silu(time_BD + pooled_BD)
        hidden_BND = (
            self.embed_tokens(self.parametrisation.reading(tokens_BNK, time_B)) + self.token_position_ND
        )
        # Video tokens may look at every video token and at the words that are there.
        is_visible_B11S = None
        if not self.reads_whole_captions:
            is_token_BN = is_word_BL.new_ones(len(tokens_BNK), self.num_tokens)
            is_visible_B11S = torch.cat([is_token_BN, is_word_BL], dim=1)[:, None, None, :]
        turn = turning(self.grid, self.head_width, tokens_BNK.device) if self.is_turning else None
        for block in self.blocks:
            hidden_BND = block(hidden_BND, text_BLD, condition_BD, is_visible_B11S, turn)
        shift_BD, scale_BD = self.modulate_output(condition_BD).chunk(2, dim=-1)
        output_BNK = self.predict(_modulated(hidden_BND, shift_BD, scale_BD))
        return self.parametrisation.velocity(tokens_BNK, time_B, output_BNK)

    @property
    def parametrisation(self) -> Parametrisation:
        """What its numbers mean."""
        return Footage() if self.variance_K is None else Spectrum(self.variance_K)

    def initialise(self, generator: torch.Generator, variance_K: Tensor | None) -> None:
        """Fill every parameter from `generator` (on the CPU), the same on every device, and set the variances.

        Modulation and output start at zero (adaLN-Zero), so that the first prediction is that of the spectrum, or mid
        grey. Places (where they are no waves) and words start with unit variance: from the customary 0.02, a run of a
        minute does not learn to tell them apart (4 of 16 captions drew their own scene; with 1.0, 15 of 16, on 125
        clips of 48 sources).
        """
        for name, parameter in self.named_parameters():
            value = torch.zeros(parameter.shape)
            if name.startswith("token_position") and self.is_turning:
                value = wave_table(self.grid, parameter.shape[1])
            elif name.startswith(("token_position", "embed_words")):
                value.normal_(0.0, 1.0, generator=generator)
            elif name.startswith("word_position"):
                value.normal_(0.0, 0.02, generator=generator)
            elif parameter.ndim > 1 and not name.startswith("predict") and "modulate" not in name:
                value.normal_(0.0, parameter.shape[1] ** -0.5, generator=generator)
            with torch.no_grad():
                parameter.copy_(value)
        if self.variance_K is not None:
            assert variance_K is not None, "a tokenizer of components knows their variances"
            self.variance_K.copy_(variance_K)


class Block(nn.Module):
    """One transformer block with adaLN-Zero modulation of its attention and of its perceptron."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.modulate = nn.Linear(width, 6 * width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mix_heads = nn.Linear(width, width)
        self.expand = nn.Linear(width, _MLP_RATIO * width)
        self.contract = nn.Linear(_MLP_RATIO * width, width)

    def forward(
        self,
        hidden_BND: Tensor,
        text_BLD: Tensor,
        condition_BD: Tensor,
        is_visible_B11S: Tensor | None,
        turn: Turning | None,
    ) -> Tensor:
        """Return the refined tokens BND; S = N + L keys, of which the visible ones are attended to (`None`: all)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(condition_BD)[:, None].chunk(6, dim=-1)
        attended_BND = self._attend(
            _normed(hidden_BND) * (1 + scale1) + shift1, _normed(text_BLD), is_visible_B11S, turn
        )
        hidden_BND = hidden_BND + gate1 * attended_BND
        widened_BNF = self.expand(_normed(hidden_BND) * (1 + scale2) + shift2)
        widened_BNF = functional.gelu(widened_BNF, approximate="tanh")
        refined_BND: Tensor = hidden_BND + gate2 * self.contract(widened_BNF)
        return refined_BND

    def _attend(
        self, tokens_BND: Tensor, text_BLD: Tensor, is_visible_B11S: Tensor | None, turn: Turning | None
    ) -> Tensor:
        key_BSD, value_BSD = self.key_value(torch.cat([tokens_BND, text_BLD], dim=1)).chunk(2, dim=-1)
        query_BANE, key_BASE = self._split_heads(self.query(tokens_BND)), self._split_heads(key_BSD)
        if turn is not None:
            num_tokens = tokens_BND.shape[1]
            query_BANE, key_BASE = _at_unit_power(query_BANE), _at_unit_power(key_BASE)
            # Words stand nowhere in the clip.
            key_BASE = torch.cat([turn(key_BASE[:, :, :num_tokens]), key_BASE[:, :, num_tokens:]], dim=2)
            query_BANE = turn(query_BANE)
        value_BASE = self._split_heads(value_BSD)
        mixed_BANE = functional.scaled_dot_product_attention(
            # Under autocast turning leaves single precision.
            query_BANE.to(value_BASE.dtype),
            key_BASE.to(value_BASE.dtype),
            value_BASE,
            attn_mask=is_visible_B11S,
        )
        mixed: Tensor = self.mix_heads(mixed_BANE.transpose(1, 2).flatten(2))
        return mixed

    def _split_heads(self, features_BSD: Tensor) -> Tensor:
        batch, length, width = features_BSD.shape
        return features_BSD.view(batch, length, self.num_heads, width // self.num_heads).transpose(1, 2)


def build_model(config: TrainingConfig, *, num_components: int, num_ids: int, device: str) -> VideoDiT:
    """Make a model with uninitialised parameters on `device`, without touching any global random state."""
    with torch.device("meta"):
        model = VideoDiT(config, num_components=num_components, num_ids=num_ids)
    return model.to_empty(device=device)


def time_features(time_B: Tensor, width: int) -> Tensor:
    """Return sines and cosines BD of the time (Vaswani et al. 2017, section 3.5, on 1000 t as DiT does)."""
    steps = torch.arange(width // 2, device=time_B.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10_000.0) * steps / (width // 2))
    angles = 1000.0 * time_B.to(torch.float32)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1).to(time_B.dtype)


def _at_unit_power(features_BASE: Tensor) -> Tensor:
    return functional.rms_norm(features_BASE, features_BASE.shape[-1:])


def _normed(features: Tensor) -> Tensor:
    return functional.layer_norm(features, features.shape[-1:])


def _modulated(hidden_BND: Tensor, shift_BD: Tensor, scale_BD: Tensor) -> Tensor:
    return _normed(hidden_BND) * (1 + scale_BD[:, None]) + shift_BD[:, None]
