"""Toy bases: the pipelines of diffusers, whole and tiny, with random weights, written by `save_pretrained`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training.adapters.pipeline import foreign_code

_TEXT_WIDTH = 16
_WORDS = "<pad> </s> <unk> a the of and at in on sea hill wood discs over sand water plain red night slowly"


def write_toy_base(folder: Path, family: str) -> Path:
    """Write the toy pipeline of `family` (`ltx`, `wan`, `cogvideox`, `mochi`) into `folder`; always the same bits."""
    with foreign_code(), torch.random.fork_rng():
        torch.manual_seed(0)
        _MAKERS[family]().save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(_WORDS.split())}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=16,
    )


def _text() -> dict[str, Any]:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=32, d_model=_TEXT_WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return {"tokenizer": _tokenizer(), "text_encoder": T5EncoderModel(config)}


def _ltx() -> Any:
    import diffusers as d

    transformer = d.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=_TEXT_WIDTH,
    )
    vae = d.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    return d.LTXPipeline(
        transformer=transformer, vae=vae, scheduler=d.FlowMatchEulerDiscreteScheduler(), **_text()
    )


def _wan() -> Any:
    import diffusers as d
    from transformers import UMT5Config, UMT5EncoderModel

    transformer = d.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=_TEXT_WIDTH,
        freq_dim=32,
        ffn_dim=32,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    vae = d.AutoencoderKLWan(
        base_dim=3,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    )
    scheduler = d.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    config = UMT5Config(vocab_size=32, d_model=_TEXT_WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return d.WanPipeline(
        transformer=transformer,
        vae=vae,
        scheduler=scheduler,
        tokenizer=_tokenizer(),
        text_encoder=UMT5EncoderModel(config),
    )


def _cogvideox() -> Any:
    import diffusers as d

    transformer = d.CogVideoXTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=_TEXT_WIDTH,
        num_layers=1,
        sample_width=4,
        sample_height=4,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=16,
    )
    vae = d.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    scheduler = d.CogVideoXDDIMScheduler(prediction_type="v_prediction")
    return d.CogVideoXPipeline(transformer=transformer, vae=vae, scheduler=scheduler, **_text())


def _mochi() -> Any:
    import diffusers as d

    transformer = d.MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=16,
        in_channels=12,
        qk_norm="rms_norm",
        text_embed_dim=_TEXT_WIDTH,
        time_embed_dim=4,
        activation_fn="swiglu",
        max_sequence_length=16,
    )
    vae = d.AutoencoderKLMochi(
        latent_channels=12,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    scheduler = d.FlowMatchEulerDiscreteScheduler(invert_sigmas=True)
    return d.MochiPipeline(transformer=transformer, vae=vae, scheduler=scheduler, **_text())


_MAKERS: dict[str, Callable[[], Any]] = {
    "cogvideox": _cogvideox,
    "ltx": _ltx,
    "mochi": _mochi,
    "wan": _wan,
}
