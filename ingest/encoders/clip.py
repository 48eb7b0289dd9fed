"""The adapter of open_clip: the picture half of a CLIP-like model as an encoder of frames.

Weights come from a checkpoint file or, for a pretrained tag, from the caches that `fetch_open_clip` fills. Opening an
encoder never downloads anything, and only the network and preprocessing that the weights were trained with are used.

Shapes: B batch, C channels, H and W pixels, D embedding.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import textwrap
from collections.abc import Iterable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ingest.encoders.encoder import EncoderIdentity, OpenClipSpec
from ingest.errors import EncoderError
from ingest.media.digests import file_digest

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ingest.encoders.compute import Compute

_logger = logging.getLogger(__name__)

_MAX_BATCH_GPU = 64
_MAX_BATCH_CPU = 8
_CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
# The smallest text half that open_clip builds: it is thrown away, so whatever text model was trained is not needed.
_NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}


class OpenClipEncoder:
    """The picture half of an open_clip model; made by `open_clip_encoder`."""

    def __init__(
        self, visual: torch.nn.Module, preprocess: Any, identity: EncoderIdentity, compute: Compute
    ) -> None:
        self._visual = visual
        self._preprocess = preprocess
        self._identity = identity
        self._compute = compute

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors may be compared with."""
        return self._identity

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed RGB pictures (each HWC uint8, sizes may differ) as float32 BD unit rows, in order."""
        vectors_BD = np.empty((len(images), self._identity.dim), dtype=np.float32)
        step = _MAX_BATCH_GPU if self._compute.device.type == "cuda" else _MAX_BATCH_CPU
        for start in range(0, len(images), step):
            vectors_BD[start : start + step] = self._embed_batch(images[start : start + step])
        return vectors_BD

    def _embed_batch(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        import torch
        from PIL import Image

        pixels_BCHW = torch.stack([self._preprocess(Image.fromarray(image)) for image in images])
        device, dtype = self._compute.device, self._compute.dtype
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            encoded = self._visual(pixels_BCHW.to(device))
        # Models that were also trained to write captions return their tokens beside the vector.
        features_BD = encoded[0] if isinstance(encoded, tuple) else encoded
        unit_BD = torch.nn.functional.normalize(features_BD.float(), dim=1)
        return cast("NDArray[np.float32]", unit_BD.cpu().numpy())


def open_clip_encoder(spec: OpenClipSpec, compute: Compute, *, cache_dir: Path | None) -> OpenClipEncoder:
    """Open the picture half of an open_clip model on `compute`, in half precision where `compute` says so.

    The weights of a pretrained tag are looked for in `cache_dir` (None: this user's Hugging Face and open_clip
    caches) and nowhere else. A checkpoint file is never unpickled beyond plain tensors.

    Raises `EncoderError` if open_clip has no such model or tag, or the weights are missing, unreadable, or those
    of another network.
    """
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

    config = _model_config(spec.model)
    tag_config = _tag_config(spec)
    checkpoint = spec.checkpoint if spec.checkpoint is not None else _cached_checkpoint(spec, cache_dir)
    weights_sha256 = _checkpoint_digest(checkpoint)
    # The tag knows the activation its weights were trained with; several model names, `ViT-B-32` among them, do not.
    config["quick_gelu"] = bool(config.get("quick_gelu") or tag_config.get("quick_gelu"))
    visual = _load_visual(spec.model, config, checkpoint)
    prepared = PreprocessCfg(
        **merge_preprocess_dict(PreprocessCfg(), {**tag_config, "size": getattr(visual, "image_size", None)})
    )
    identity = EncoderIdentity(
        name=_spec_text(spec),
        weights_sha256=weights_sha256,
        preprocessing=_preprocessing_text(dataclasses.asdict(prepared)),
        dim=config["embed_dim"],
    )
    return OpenClipEncoder(
        visual.to(compute.device), image_transform_v2(prepared, is_train=False), identity, compute
    )


def fetch_open_clip(spec: OpenClipSpec, *, cache_dir: Path | None) -> Path:
    """Download the weights of a pretrained tag into `cache_dir` (None: this user's caches) and return their path.

    What is already there is not downloaded again. The only function here that uses the network.

    Raises `EncoderError` if open_clip has no such model or tag, or the download fails.
    """
    import open_clip

    _model_config(spec.model)
    tag_config = _tag_config(spec)
    _logger.info("fetching the weights of %s", _spec_text(spec))
    try:
        path = open_clip.download_pretrained(tag_config, cache_dir=str(cache_dir) if cache_dir else None)
    except (OSError, RuntimeError, HTTPException) as exc:
        raise EncoderError(f"the weights of {_spec_text(spec)} could not be downloaded: {exc}") from exc
    if not path:
        raise EncoderError(f"open_clip does not say where the weights of {_spec_text(spec)} are")
    return Path(path)


def _spec_text(spec: OpenClipSpec) -> str:
    return f"open_clip:{spec.model}" + (f"/{spec.tag}" if spec.tag else "")


def _model_config(model: str) -> dict[str, Any]:
    import open_clip

    # Only built-in names: open_clip would look up other schemes (`hf-hub:`) on the network.
    known = open_clip.list_models()
    if model not in known:
        raise EncoderError(f"open_clip has no model {model!r}", hint=_near(model, known))
    return cast("dict[str, Any]", open_clip.get_model_config(model))


def _tag_config(spec: OpenClipSpec) -> dict[str, Any]:
    """Return what open_clip knows of the tag's weights; nothing for a checkpoint file."""
    import open_clip

    if spec.tag is None:
        return {}
    config = open_clip.get_pretrained_cfg(spec.model, spec.tag)
    if not config:
        known = open_clip.list_pretrained_tags_by_model(spec.model)
        raise EncoderError(
            f"open_clip has no pretrained tag {spec.tag!r} for model {spec.model}",
            hint=_near(spec.tag, known),
        )
    return cast("dict[str, Any]", config)


def _near(name: str, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or sorted(known)[:5]
    return f"known names include {', '.join(near)}" if near else None


def _cached_checkpoint(spec: OpenClipSpec, cache_dir: Path | None) -> Path:
    """Find the weights of a pretrained tag where `fetch_open_clip` leaves them, without the network."""
    for candidate in _cache_candidates(_tag_config(spec), cache_dir):
        if candidate.is_file():
            return candidate
    raise EncoderError(
        f"the weights of {_spec_text(spec)} are not on this machine",
        hint=f"cleartitle encoder fetch {_spec_text(spec)}",
    )


def _cache_candidates(tag_config: dict[str, Any], cache_dir: Path | None) -> Iterable[Path]:
    """Yield where open_clip's own downloads of these weights would lie, in its order of preference."""
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_WEIGHTS_NAME
    from open_clip.pretrained import _get_safe_alternatives

    if "file" in tag_config:
        yield Path(tag_config["file"])
    if hub := tag_config.get("hf_hub"):
        repository, name = os.path.split(hub)
        name = name or HF_WEIGHTS_NAME
        for alternative in (*_get_safe_alternatives(name), name):
            found = try_to_load_from_cache(repository, alternative, cache_dir=cache_dir)
            if isinstance(found, str):
                yield Path(found)
    if url := tag_config.get("url"):
        yield (cache_dir or Path("~/.cache/clip").expanduser()) / os.path.basename(url)


def _checkpoint_digest(checkpoint: Path) -> str:
    if checkpoint.suffix not in _CHECKPOINT_SUFFIXES:
        raise EncoderError(
            f"checkpoint {checkpoint.name}: its suffix is none of {', '.join(_CHECKPOINT_SUFFIXES)}"
        )
    if not checkpoint.is_file():
        raise EncoderError(f"checkpoint {checkpoint} is not a file")
    return file_digest(checkpoint).sha256


def _load_visual(model: str, config: dict[str, Any], checkpoint: Path) -> torch.nn.Module:
    """Build the picture half and fill it, tensor by tensor, from the checkpoint's."""
    import open_clip
    from open_clip.convert import convert_state_dict

    # CLIP and its descendants differ in their text half only, so the plain one serves for all.
    whole = open_clip.CLIP(
        embed_dim=config["embed_dim"],
        vision_cfg={**config["vision_cfg"], "timm_model_pretrained": False},
        text_cfg=_NO_TEXT,
        quick_gelu=config["quick_gelu"],
    )
    visual = cast("torch.nn.Module", whole.visual)
    trained = _read_checkpoint(checkpoint)
    try:
        converted = convert_state_dict(whole, trained)
        visual.load_state_dict(
            {
                name.removeprefix("visual."): tensor
                for name, tensor in converted.items()
                if name.startswith("visual.")
            }
        )
    except (RuntimeError, KeyError, AttributeError) as exc:
        detail = textwrap.shorten(str(exc), 300)
        raise EncoderError(
            f"checkpoint {checkpoint.name} does not fit open_clip model {model}: {detail}"
        ) from exc
    return visual.eval()


def _read_checkpoint(checkpoint: Path) -> dict[str, torch.Tensor]:
    import pickle

    from open_clip.factory import load_state_dict
    from safetensors import SafetensorError

    try:
        tensors = load_state_dict(str(checkpoint), weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError) as exc:
        detail = textwrap.shorten(str(exc), 300)
        raise EncoderError(f"checkpoint {checkpoint.name} cannot be read: {detail}") from exc
    # What open_clip makes of a file that holds no table of named tensors.
    except (AttributeError, IndexError, StopIteration, TypeError, ValueError) as exc:
        raise EncoderError(f"checkpoint {checkpoint.name} holds no weights") from exc
    return cast("dict[str, torch.Tensor]", tensors)


def _preprocessing_text(prepared: dict[str, Any]) -> str:
    """Describe every step of open_clip's preprocessing; part of the encoder's identity."""
    size = prepared["size"]
    width_height = f"{size[1]}x{size[0]}" if isinstance(size, (tuple, list)) else f"{size}x{size}"
    mean, std = (",".join(map(str, prepared[key])) for key in ("mean", "std"))
    return (
        f"{prepared['mode']}; resize {prepared['resize_mode']} to {width_height}, {prepared['interpolation']}; "
        f"fill {prepared['fill_color']}; mean {mean}; std {std}; L2"
    )
