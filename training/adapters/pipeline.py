"""Pipelines of diffusers, loaded from a folder and nowhere else.

Nothing is ever fetched: the libraries are told that they are offline, and are given folders, not names.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.errors import UndecidedError
from training.adapters.errors import BaseModelError

_LIBRARIES = ("diffusers", "transformers", "peft")


@contextlib.contextmanager
def foreign_code() -> Iterator[None]:
    """Run what others wrote: offline, and without their warnings and log lines, which speak of their own interfaces."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def load_pipeline(folder: Path, pipeline: str, *, device: str) -> Any:
    """Load the pipeline of class `pipeline` in float32, frozen, on `device`.

    Whether the files are those on record must have been checked before.
    Raises `UndecidedError` if a library is missing, `BaseModelError` if the files do not fit together.
    """
    with foreign_code():
        try:
            import diffusers
            import huggingface_hub.constants
            import peft
            import safetensors
            import torch
            import transformers
        except ImportError as exc:
            raise UndecidedError(
                f"adapters need {exc.name or 'diffusers'}, which is not installed",
                hint="install cleartitle[adapters]",
            ) from exc
        assert peft.__name__, "diffusers finds it by itself"
        # It may have been imported before it was told.
        huggingface_hub.constants.HF_HUB_OFFLINE = True
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        try:
            # Loading draws initial values that it then overwrites; what files leave out is at least always the same.
            with torch.random.fork_rng():
                torch.manual_seed(0)
                loaded = getattr(diffusers, pipeline).from_pretrained(
                    str(folder), local_files_only=True, use_safetensors=True, torch_dtype=torch.float32
                )
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RuntimeError,
            safetensors.SafetensorError,
        ) as exc:
            words = " ".join(str(exc).split())[:300]
            raise BaseModelError(f"{folder}: diffusers cannot load it: {words}") from exc
        for name in ("transformer", "vae", "text_encoder"):
            getattr(loaded, name).requires_grad_(False).eval()
        loaded.set_progress_bar_config(disable=True)
        return loaded.to(device)
