"""What differs between the pipelines that adapters are trained for: codes of pictures, text, noise, and targets.

Each family trains its transformer on what its scheduler walks: LTX-Video and Wan on the velocity from footage to noise,
Mochi on the one from noise to footage (its times run backwards), CogVideoX on the velocity of a diffusion with discrete
times (Salimans and Ho 2022, arXiv 2202.00512, section 4).

Shapes: B clips, C latent channels, T, H, W latent frames, rows and columns, L tokens of a prompt, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.adapters.pipeline import foreign_code
from training.errors import TrainingConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_FRAME_RATE = 8.0
"""Of generated clips; LTX-Video is told of it in training too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptCode:
    """A prompt as the base's own text encoder tells it."""

    embedding_LD: Tensor
    mask_L: Tensor | None
    """Which tokens are there, where the transformer asks."""


class Family(ABC):
    """One kind of pipeline, opened. `pipe` is diffusers' own."""

    def __init__(self, pipe: Any, *, max_prompt_tokens: int) -> None:
        self.pipe = pipe
        self.max_prompt_tokens = max_prompt_tokens

    @property
    @abstractmethod
    def frame_multiple(self) -> int:
        """Frames of a latent frame; a clip has one frame more than a multiple of it."""

    @property
    @abstractmethod
    def side_multiple(self) -> int:
        """Pixels that height and width are a multiple of."""

    @abstractmethod
    def latents_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale what the autoencoder gives to what the transformer takes."""

    @abstractmethod
    def pictures_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Undo `latents_of`."""

    @abstractmethod
    def loss(
        self, latents_BCTHW: Tensor, prompts: Sequence[PromptCode], noise_BCTHW: Tensor, time_B: Tensor
    ) -> Tensor:
        """Return the mean squared error of what the transformer predicts; `time_B` as `draw_times` gave it."""

    def draw_times(self, num_clips: int, generator: torch.Generator) -> Tensor:
        """Draw how noisy each clip is, logit-normal in (0, 1) (Esser et al. 2024, arXiv 2403.03206, section 3.1)."""
        import torch

        return torch.randn(num_clips, generator=generator).sigmoid()

    def check_shape(self, num_frames: int, height: int, width: int) -> None:
        """Raise `TrainingConfigError` for a clip that the base cannot code."""
        if (num_frames - 1) % self.frame_multiple:
            raise TrainingConfigError(
                f"num_frames is {num_frames}: expected one more than a multiple of {self.frame_multiple}, for this base"
            )
        for name, size in (("height", height), ("width", width)):
            if size % self.side_multiple:
                raise TrainingConfigError(
                    f"{name} is {size}: expected a multiple of {self.side_multiple}, for this base"
                )

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into latents CTHW, by the mean of what the autoencoder gives: no chance in it."""
        import torch

        pixels_CTHW = frames_TCHW.to(self.pipe.device, torch.float32).div(127.5).sub(1.0).transpose(0, 1)
        with torch.no_grad(), foreign_code():
            latents_BCTHW: Tensor = self.pipe.vae.encode(pixels_CTHW[None]).latent_dist.mode()
            return self.latents_of(latents_BCTHW)[0]

    def decode(self, latents_CTHW: Tensor) -> Tensor:
        """Turn latents CTHW back into a uint8 clip TCHW on the CPU."""
        import torch

        with torch.no_grad(), foreign_code():
            pixels_BCTHW: Tensor = self.pipe.vae.decode(
                self.pictures_of(latents_CTHW[None]), return_dict=False, **self.decode_options()
            )[0]
        scaled = pixels_BCTHW[0].transpose(0, 1).add(1.0).mul(127.5)
        return scaled.round().clamp(0.0, 255.0).to(torch.uint8).cpu()

    def decode_options(self) -> dict[str, Any]:
        """Return what the autoencoder needs besides latents."""
        return {}

    def read_prompt(self, prompt: str) -> PromptCode:
        """Tell a prompt by the base's own text encoder."""
        import torch

        with torch.no_grad(), foreign_code():
            found = self.pipe.encode_prompt(
                [prompt],
                do_classifier_free_guidance=False,
                max_sequence_length=self.max_prompt_tokens,
                device=self.pipe.device,
            )
        mask_BL = found[1] if len(found) == 4 else None
        return PromptCode(embedding_LD=found[0][0].detach(), mask_L=None if mask_BL is None else mask_BL[0])

    def draw(
        self,
        prompt: str,
        generator: torch.Generator,
        *,
        num_frames: int,
        height: int,
        width: int,
        num_steps: int,
        guidance: float,
    ) -> Tensor:
        """Let the base's pipeline and scheduler draw one clip, uint8 RGB TCHW on the CPU."""
        import torch

        with foreign_code():
            (clip_THWC,) = self.pipe(
                prompt=prompt,
                negative_prompt="",
                num_frames=num_frames,
                height=height,
                width=width,
                num_inference_steps=num_steps,
                guidance_scale=guidance,
                generator=generator,
                max_sequence_length=self.max_prompt_tokens,
                output_type="np",
                **self.draw_options(),
            ).frames
        pixels_THWC = torch.from_numpy(clip_THWC).mul(255.0).round().clamp(0.0, 255.0).to(torch.uint8)
        return pixels_THWC.permute(0, 3, 1, 2).contiguous()

    def draw_options(self) -> dict[str, Any]:
        """Return what the pipeline is told besides."""
        return {}


class LtxFamily(Family):
    """LTX-Video."""

    @property
    def frame_multiple(self) -> int:
        """That of the autoencoder."""
        return int(self.pipe.vae_temporal_compression_ratio)

    @property
    def side_multiple(self) -> int:
        """The pipeline draws multiples of 32 only."""
        return 32

    def latents_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale by mean and deviation of the autoencoder."""
        vae = self.pipe.vae
        scaled: Tensor = self.pipe._normalize_latents(
            latents_BCTHW, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        return scaled

    def pictures_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale back."""
        vae = self.pipe.vae
        scaled: Tensor = self.pipe._denormalize_latents(
            latents_BCTHW, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        return scaled

    def decode_options(self) -> dict[str, Any]:
        """Name the time of decoding, if the autoencoder takes one: that of a clean picture."""
        import torch

        is_timed = self.pipe.vae.config.timestep_conditioning
        return {"temb": torch.zeros(1, device=self.pipe.device) if is_timed else None}

    def loss(
        self, latents_BCTHW: Tensor, prompts: Sequence[PromptCode], noise_BCTHW: Tensor, time_B: Tensor
    ) -> Tensor:
        """Predict the velocity from footage to noise."""
        _, _, num_frames, height, width = latents_BCTHW.shape
        sizes = (self.pipe.transformer_spatial_patch_size, self.pipe.transformer_temporal_patch_size)
        noisy_BNC = self.pipe._pack_latents(_mixed(latents_BCTHW, noise_BCTHW, time_B), *sizes)
        target_BNC = self.pipe._pack_latents(noise_BCTHW - latents_BCTHW, *sizes)
        predicted_BNC = self.pipe.transformer(
            hidden_states=noisy_BNC,
            encoder_hidden_states=_embeddings(prompts),
            timestep=_in_thousandths(time_B),
            encoder_attention_mask=_masks(prompts),
            num_frames=num_frames,
            height=height,
            width=width,
            rope_interpolation_scale=(
                self.frame_multiple / _FRAME_RATE,
                self.pipe.vae_spatial_compression_ratio,
                self.pipe.vae_spatial_compression_ratio,
            ),
            return_dict=False,
        )[0]
        return _squared_error(predicted_BNC, target_BNC)

    def draw_options(self) -> dict[str, Any]:
        """Name the frame rate that training named."""
        return {"frame_rate": _FRAME_RATE}


class StandardisedFamily(Family):
    """Pipelines that leave it to their users to scale latents by mean and deviation of each channel."""

    def latents_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale by mean and deviation."""
        mean, deviation = self.statistics(latents_BCTHW)
        return (latents_BCTHW - mean) / deviation

    def pictures_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale back."""
        mean, deviation = self.statistics(latents_BCTHW)
        return latents_BCTHW * deviation + mean

    @abstractmethod
    def statistics(self, latents_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation, such that they scale latents of this shape."""


class WanFamily(StandardisedFamily):
    """Wan 2.1, text to video."""

    @property
    def frame_multiple(self) -> int:
        """That of the autoencoder."""
        return int(self.pipe.vae_scale_factor_temporal)

    @property
    def side_multiple(self) -> int:
        """The pipeline draws multiples of 16 only."""
        patch = int(self.pipe.transformer.config.patch_size[1])
        return max(16, int(self.pipe.vae_scale_factor_spatial) * patch)

    def loss(
        self, latents_BCTHW: Tensor, prompts: Sequence[PromptCode], noise_BCTHW: Tensor, time_B: Tensor
    ) -> Tensor:
        """Predict the velocity from footage to noise."""
        predicted_BCTHW = self.pipe.transformer(
            hidden_states=_mixed(latents_BCTHW, noise_BCTHW, time_B),
            timestep=_in_thousandths(time_B),
            encoder_hidden_states=_embeddings(prompts),
            return_dict=False,
        )[0]
        return _squared_error(predicted_BCTHW, noise_BCTHW - latents_BCTHW)

    def statistics(self, latents_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the autoencoder's configuration."""
        config = self.pipe.vae.config
        return _channels(config.latents_mean, latents_BCTHW), _channels(config.latents_std, latents_BCTHW)


class CogVideoXFamily(Family):
    """CogVideoX, text to video."""

    def __init__(self, pipe: Any, *, max_prompt_tokens: int) -> None:
        # Its transformer has a place for each token, whether it is there or not.
        del max_prompt_tokens
        super().__init__(pipe, max_prompt_tokens=int(pipe.transformer.config.max_text_seq_length))

    @property
    def frame_multiple(self) -> int:
        """Twice that of the autoencoder, which decodes latent frames by pairs and one more."""
        return 2 * int(self.pipe.vae_scale_factor_temporal)

    @property
    def side_multiple(self) -> int:
        """The pixels of a patch."""
        patch = int(self.pipe.transformer.config.patch_size)
        return int(self.pipe.vae_scale_factor_spatial) * patch

    def check_shape(self, num_frames: int, height: int, width: int) -> None:
        """Refuse version 1.5 too, whose patches span latent frames that its autoencoder does not give."""
        if self.pipe.transformer.config.patch_size_t is not None:
            raise TrainingConfigError("adapters are not trained for CogVideoX 1.5, whose patches span frames")
        super().check_shape(num_frames, height, width)

    def latents_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale by the factor of the autoencoder."""
        return latents_BCTHW * float(self.pipe.vae_scaling_factor_image)

    def pictures_of(self, latents_BCTHW: Tensor) -> Tensor:
        """Scale back."""
        return latents_BCTHW / float(self.pipe.vae_scaling_factor_image)

    def draw_times(self, num_clips: int, generator: torch.Generator) -> Tensor:
        """Draw one of the discrete times of the scheduler, each as likely."""
        import torch

        num_times = int(self.pipe.scheduler.config.num_train_timesteps)
        return torch.randint(0, num_times, (num_clips,), generator=generator)

    def loss(
        self, latents_BCTHW: Tensor, prompts: Sequence[PromptCode], noise_BCTHW: Tensor, time_B: Tensor
    ) -> Tensor:
        """Predict the velocity of the diffusion."""
        scheduler = self.pipe.scheduler
        if scheduler.config.prediction_type != "v_prediction":
            raise TrainingConfigError(
                f"the base predicts {scheduler.config.prediction_type!r}, expected 'v_prediction'"
            )
        latents_BTCHW, noise_BTCHW = latents_BCTHW.transpose(1, 2), noise_BCTHW.transpose(1, 2)
        predicted_BTCHW = self.pipe.transformer(
            hidden_states=scheduler.add_noise(latents_BTCHW, noise_BTCHW, time_B),
            encoder_hidden_states=_embeddings(prompts),
            timestep=time_B,
            image_rotary_emb=self._positions(latents_BTCHW),
            return_dict=False,
        )[0]
        return _squared_error(predicted_BTCHW, scheduler.get_velocity(latents_BTCHW, noise_BTCHW, time_B))

    def _positions(self, latents_BTCHW: Tensor) -> Any:
        if not self.pipe.transformer.config.use_rotary_positional_embeddings:
            return None
        _, num_frames, _, height, width = latents_BTCHW.shape
        factor = self.pipe.vae_scale_factor_spatial
        return self.pipe._prepare_rotary_positional_embeddings(
            height * factor, width * factor, num_frames, latents_BTCHW.device
        )


class MochiFamily(StandardisedFamily):
    """Mochi 1."""

    @property
    def frame_multiple(self) -> int:
        """That of the autoencoder."""
        return int(self.pipe.vae_temporal_scale_factor)

    @property
    def side_multiple(self) -> int:
        """The pixels of a patch."""
        return int(self.pipe.vae_spatial_scale_factor) * int(self.pipe.transformer.config.patch_size)

    def loss(
        self, latents_BCTHW: Tensor, prompts: Sequence[PromptCode], noise_BCTHW: Tensor, time_B: Tensor
    ) -> Tensor:
        """Predict the velocity from noise to footage; the transformer's time is 0 at noise."""
        predicted_BCTHW = self.pipe.transformer(
            hidden_states=_mixed(latents_BCTHW, noise_BCTHW, time_B),
            encoder_hidden_states=_embeddings(prompts),
            timestep=_in_thousandths(1.0 - time_B),
            encoder_attention_mask=_masks(prompts),
            return_dict=False,
        )[0]
        return _squared_error(predicted_BCTHW, latents_BCTHW - noise_BCTHW)

    def statistics(self, latents_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the autoencoder's configuration, where it has them."""
        config = self.pipe.vae.config
        size = latents_BCTHW.shape[1]
        mean = getattr(config, "latents_mean", None) or [0.0] * size
        deviation = getattr(config, "latents_std", None) or [1.0] * size
        scaled = _channels(deviation, latents_BCTHW) / float(config.scaling_factor)
        return _channels(mean, latents_BCTHW), scaled


FAMILIES: dict[str, type[Family]] = {
    "CogVideoXPipeline": CogVideoXFamily,
    "LTXPipeline": LtxFamily,
    "MochiPipeline": MochiFamily,
    "WanPipeline": WanFamily,
}


def _mixed(latents_BCTHW: Tensor, noise_BCTHW: Tensor, time_B: Tensor) -> Tensor:
    """Return the straight path at `time_B`: 0 is footage, 1 noise."""
    time_B1111 = time_B[:, None, None, None, None]
    return (1.0 - time_B1111) * latents_BCTHW + time_B1111 * noise_BCTHW


def _in_thousandths(time_B: Tensor) -> Tensor:
    return time_B * 1000.0


def _embeddings(prompts: Sequence[PromptCode]) -> Tensor:
    import torch

    return torch.stack([prompt.embedding_LD for prompt in prompts])


def _masks(prompts: Sequence[PromptCode]) -> Tensor:
    import torch

    masks = [prompt.mask_L for prompt in prompts if prompt.mask_L is not None]
    assert len(masks) == len(prompts), "these text encoders say which tokens are there"
    return torch.stack(masks)


def _squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    return (predicted - target).square().mean()


def _channels(values: Sequence[float], like_BCTHW: Tensor) -> Tensor:
    """Return one value for each latent channel, to be used with `like_BCTHW`."""
    return like_BCTHW.new_tensor(list(values)).view(1, -1, 1, 1, 1)
