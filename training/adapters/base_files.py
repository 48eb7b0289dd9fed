"""The folder of a base model, as diffusers' `save_pretrained` writes it: what is in it, and whether it still is.

Only weights in safetensors are taken, and only classes of diffusers and transformers: a pickle, or a class that the
folder brings along, is a program of whoever made it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ingest.media.digests import file_digest
from training.adapters.base_record import BaseFile, BaseRecord
from training.adapters.errors import BaseModelChanged, BaseModelError

INDEX_NAME = "model_index.json"
PIPELINES = ("CogVideoXPipeline", "LTXPipeline", "MochiPipeline", "WanPipeline")
"""Classes of pipelines that adapters can be trained for."""

_COMPONENTS = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
_WITH_WEIGHTS = ("text_encoder", "transformer", "vae")
_LIBRARIES = frozenset({"diffusers", "transformers"})


def read_pipeline(folder: Path) -> str:
    """Return the class of the pipeline in `folder`.

    Raises `BaseModelError`, naming the file, if it is none that we know, lacks a part, or would run code of its own.
    """
    path = folder / INDEX_NAME
    index = _read_index(path)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in PIPELINES:
        raise BaseModelError(
            f"{path}: the pipeline is {pipeline!r}, expected one of {', '.join(PIPELINES)}",
            hint="give a folder for text-to-video, as diffusers' save_pretrained writes it",
        )
    for name in _COMPONENTS:
        if _library_of(index, name, path) is None or not (folder / name).is_dir():
            raise BaseModelError(f"{folder}: the pipeline has no {name}", hint="give the whole pipeline")
    for name in index:
        library = _library_of(index, name, path)
        if library is not None and library not in _LIBRARIES:
            raise BaseModelError(
                f"{path}: {name} is a class of {library!r}, and only those of diffusers and transformers are loaded"
            )
        if library is not None and name not in _COMPONENTS:
            raise BaseModelError(f"{path}: adapters are not trained for a pipeline with a {name}")
    if index.get("expand_timesteps") or index.get("boundary_ratio") is not None:
        raise BaseModelError(f"{path}: adapters are not trained for this variant of {pipeline}")
    for name in _WITH_WEIGHTS:
        if not any((folder / name).glob("*.safetensors")):
            raise BaseModelError(f"{folder / name}: holds no weights in safetensors")
    return pipeline


def list_files(folder: Path, *, on_file: Callable[[int], None]) -> tuple[BaseFile, ...]:
    """Return every file that loading the pipeline may read, with its digest; `on_file` gets 1 for each.

    Raises `MediaError` if one cannot be read.
    """
    return tuple(_digested(folder, path, on_file) for path in _paths(folder))


def verify_files(record: BaseRecord, folder: Path, *, on_file: Callable[[int], None]) -> None:
    """Raise `BaseModelChanged`, naming the file, unless `folder` holds what is on record, bit for bit, and no more."""
    known = {file.path: file for file in record.files}
    found = {path.relative_to(folder).as_posix(): path for path in _paths(folder)}
    for name in sorted(known.keys() | found.keys()):
        if name not in found:
            raise BaseModelChanged(f"base {record.name}: {folder / name} is missing", hint=_HINT)
        if name not in known:
            raise BaseModelChanged(f"base {record.name}: {found[name]} is not on record", hint=_HINT)
        sha256 = _digested(folder, found[name], on_file).sha256
        if sha256 != known[name].sha256:
            raise BaseModelChanged(
                f"base {record.name}: {found[name]} has sha256 {sha256[:12]}, on record is {known[name].sha256[:12]}",
                hint=_HINT,
            )


_HINT = "restore the files that were put on record, or add the folder under another name"


def _digested(folder: Path, path: Path, on_file: Callable[[int], None]) -> BaseFile:
    digest = file_digest(path)
    on_file(1)
    return BaseFile(
        path=path.relative_to(folder).as_posix(), sha256=digest.sha256, size_bytes=digest.size_bytes
    )


def _paths(folder: Path) -> Iterator[Path]:
    """Yield the index and every file of the parts, in order of name."""
    if (folder / INDEX_NAME).is_file():
        yield folder / INDEX_NAME
    for name in _COMPONENTS:
        yield from sorted(path for path in (folder / name).rglob("*") if path.is_file())


def _read_index(path: Path) -> Mapping[str, Any]:
    try:
        index = json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise BaseModelError(
            f"{path.parent}: is no pipeline: there is no {INDEX_NAME}",
            hint="give a folder as diffusers' save_pretrained writes it",
        ) from exc
    except (OSError, ValueError) as exc:
        raise BaseModelError(f"{path}: cannot be read: {exc}") from exc
    if not isinstance(index, dict):
        raise BaseModelError(f"{path}: is not a JSON object")
    return index


def _library_of(index: Mapping[str, Any], name: str, path: Path) -> str | None:
    """Return the library of a part, `None` for what is no part or is left out."""
    value = index.get(name)
    if not isinstance(value, list):
        return None
    if len(value) != 2 or not all(isinstance(item, str | None) for item in value):
        raise BaseModelError(f"{path}: {name} is {value!r}, expected a library and a class")
    return None if value[1] is None else str(value[0])
