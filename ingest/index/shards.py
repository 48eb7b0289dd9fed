"""The index of a large library: a folder of shards that share one trained index.

    manifest.json     whose vectors, which kind, which shards, the recall measured (`ingest.index.manifest`)
    trained.faiss     the empty index that every shard is a filled copy of
    held.npy          queries that were kept out of the training, to measure recall with
    shards/0001/      vectors, rows, assets and measured truth of one shard (`ingest.index.shard`)

The folder is a cache: the vectors in the store are the truth, and `build_index` makes it again from them. It is
searched by `ingest.index.sharded`. One process writes at a time; a killed command leaves the manifest as it was.

Shapes: N rows, D dimensions.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.files import durable_file, staged_folder
from ingest.errors import EncoderError
from ingest.index.files import train_file
from ingest.index.kind import IndexKind, choose_kind
from ingest.index.manifest import (
    IndexManifest,
    ShardEntry,
    check_digests,
    check_sizes,
    file_digests,
    is_index,
    read_manifest,
    shard_folder,
    write_manifest,
)
from ingest.index.rows import IndexRows, read_assets
from ingest.index.shard import merge_shards_into, write_shard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.index.identity import IndexIdentity, Vectors

_TRAINED_NAME, _HELD_NAME = "trained.faiss", "held.npy"
_HELD_QUERIES = 128
_SEED = 1


def train(
    folder: Path,
    sample_ND: Vectors,
    identity: IndexIdentity,
    *,
    num_rows: int,
    kind: IndexKind | None = None,
) -> IndexManifest:
    """Make an index without rows in `folder`, in place of what is there, for about `num_rows` rows.

    `sample_ND` is drawn evenly from those rows. A few of it are held out to measure recall with. Raises
    `EncoderError` if the sample is too small for the kind, which is chosen by the number of rows if not given, or if
    the folder is something else.
    """
    if folder.exists() and not is_index(folder):
        raise EncoderError(f"{folder}: is no index, and would be replaced by one", hint="name another folder")
    sample = identity.rows(sample_ND)
    order = np.random.default_rng(_SEED).permutation(len(sample))
    num_held = min(_HELD_QUERIES, len(sample) // 2)
    if num_held == 0:
        raise EncoderError(f"{folder}: {len(sample)} rows are too few to train an index and measure it")
    held, training = sample[order[:num_held]], sample[order[num_held:]]
    kind = kind or choose_kind(num_rows, sample.shape[1])
    with staged_folder(folder) as staged:
        with durable_file(staged / _TRAINED_NAME) as path:
            train_file(path, kind, training)
        with durable_file(staged / _HELD_NAME) as path:
            np.save(path, held)
        manifest = IndexManifest(
            encoder_digest=identity.encoder_digest,
            transform_digest=None if identity.transform is None else identity.transform.digest,
            dim=sample.shape[1],
            kind=kind,
            num_training_rows=min(len(training), kind.training_rows),
            files=file_digests(staged, (_TRAINED_NAME, _HELD_NAME)),
        )
        write_manifest(staged, manifest)
    return manifest


def add_shard(folder: Path, blocks: Iterable[IndexRows], identity: IndexIdentity) -> ShardEntry:
    """Add rows as a new shard; memory is bounded by one block and the compressed shard.

    Raises `EncoderError` if the index is of another encoder or transform, an asset is in it already, or there are no
    rows.
    """
    manifest = read_manifest(folder)
    identity.check(folder, manifest)
    check_sizes(folder, manifest.files)
    known = assets_of(folder)

    def _transformed() -> Iterator[tuple[IndexRows, NDArray[np.float32]]]:
        for block in blocks:
            if twice := known.intersection(block.assets):
                raise EncoderError(f"{folder}: asset {min(twice)[:16]} is in the index already")
            yield block, identity.rows(block.vectors_ND, manifest.dim)

    path = shard_folder(folder, _next_name(manifest))
    entry = write_shard(path, manifest.kind, folder / _TRAINED_NAME, _held(folder), _transformed())
    if entry.num_rows == 0:
        shutil.rmtree(path)
        raise EncoderError(f"{folder}: a shard of no rows cannot be added")
    write_manifest(folder, replace(manifest, shards=(*manifest.shards, entry)))
    return entry


def remove_assets(folder: Path, digests: Collection[str]) -> int:
    """Let the rows of assets never be found again, and return how many assets were in the index.

    Their rows stay in the files until `merge_shards`.
    """
    manifest = read_manifest(folder)
    num_removed = 0
    shards = []
    for shard in manifest.shards:
        assets = read_assets(shard_folder(folder, shard.name))
        gone = set(digests).intersection(assets).difference(shard.removed)
        num_removed += len(gone)
        shards.append(replace(shard, removed=tuple(sorted({*shard.removed, *gone}))))
    if num_removed:
        write_manifest(folder, replace(manifest, shards=tuple(shards)))
    return num_removed


def merge_shards(folder: Path, names: Collection[str] | None = None) -> ShardEntry | None:
    """Make one shard of those named, or of all, and drop the rows of removed assets; codes are copied.

    Returns the new shard, or `None` if no row is left. Raises `EncoderError` if there is no such shard.
    """
    manifest = read_manifest(folder)
    wanted = {shard.name for shard in manifest.shards} if names is None else set(names)
    parts = [shard for shard in manifest.shards if shard.name in wanted]
    if missing := wanted.difference(shard.name for shard in parts):
        raise EncoderError(f"{folder}: has no shard {min(missing)}")
    if not parts:
        return None
    for shard in parts:
        check_sizes(shard_folder(folder, shard.name), shard.files)
    path = shard_folder(folder, _next_name(manifest))
    paths = [(shard_folder(folder, shard.name), shard) for shard in parts]
    entry = merge_shards_into(path, manifest.kind, folder / _TRAINED_NAME, _held(folder), paths)
    rest = tuple(shard for shard in manifest.shards if shard.name not in wanted)
    merged = (entry,) if entry.num_rows else ()
    write_manifest(folder, replace(manifest, shards=(*rest, *merged)))
    remove_strays(folder)
    return entry if merged else None


def remove_strays(folder: Path) -> None:
    """Remove shards that the manifest does not name: a killed command made them, or a merge replaced them."""
    named = {shard.name for shard in read_manifest(folder).shards}
    for path in shard_folder(folder, "").glob("[0-9]*"):
        if path.name not in named:
            shutil.rmtree(path)


def assets_of(folder: Path) -> frozenset[str]:
    """Return the digests of the assets that a search of the index in `folder` can find."""
    found: set[str] = set()
    for shard in read_manifest(folder).shards:
        assets = read_assets(shard_folder(folder, shard.name))
        found.update(set(assets).difference(shard.removed))
    return frozenset(found)


def verify_index(folder: Path) -> IndexManifest:
    """Read every file of an index and compare its digest. Raises `EncoderError` at the first that differs."""
    manifest = read_manifest(folder)
    check_digests(folder, manifest.files)
    for shard in manifest.shards:
        check_digests(shard_folder(folder, shard.name), shard.files)
    return manifest


def build_index(
    folder: Path,
    identity: IndexIdentity,
    assets: Sequence[str],
    rows_of: Callable[[Sequence[str]], Iterable[IndexRows]],
    *,
    num_rows: int,
    rows_per_shard: int = 5_000_000,
    kind: IndexKind | None = None,
) -> IndexManifest:
    """Bring the index in `folder` to hold exactly `assets`, whose rows `rows_of` reads from the store.

    An index of another identity or kind is replaced; else what is in it already is not read again, so that a killed
    run goes on where it was. `num_rows` is about how many rows there will be.
    """
    if not _fits(folder, identity, kind, num_rows):
        sample = _sample(assets, rows_of, kind, num_rows)
        train(folder, sample, identity, num_rows=num_rows, kind=kind)
    remove_strays(folder)
    present = assets_of(folder)
    remove_assets(folder, present.difference(assets))
    missing = [asset for asset in assets if asset not in present]
    blocks = iter(rows_of(missing)) if missing else iter(())
    while (first := next(blocks, None)) is not None:
        add_shard(folder, _until(first, blocks, rows_per_shard), identity)
    return read_manifest(folder)


def _fits(folder: Path, identity: IndexIdentity, kind: IndexKind | None, num_rows: int) -> bool:
    """Return whether the index in `folder` can be gone on with."""
    if not is_index(folder):
        return False
    try:
        manifest = read_manifest(folder)
        identity.check(folder, manifest)
        check_sizes(folder, manifest.files)
    except EncoderError:
        return False
    if kind is not None:
        return kind == manifest.kind
    # More lists would suit more rows better, but that alone is no reason to throw an index away.
    return choose_kind(num_rows, manifest.dim).name == manifest.kind.name


def _sample(
    assets: Sequence[str],
    rows_of: Callable[[Sequence[str]], Iterable[IndexRows]],
    kind: IndexKind | None,
    num_rows: int,
) -> Vectors:
    """Draw whole assets at random until there are rows enough to train with."""
    order = np.random.default_rng(_SEED).permutation(len(assets))
    found: list[NDArray[Any]] = []
    num_found = 0
    for block in rows_of([assets[number] for number in order]):
        found.append(block.vectors_ND)
        num_found += len(block.vectors_ND)
        fitting = kind or choose_kind(num_rows, block.vectors_ND.shape[1])
        if num_found >= fitting.training_rows + 2 * _HELD_QUERIES:
            break
    if not found:
        raise EncoderError("there are no rows to train an index with")
    return np.concatenate(found)


def _until(first: IndexRows, blocks: Iterator[IndexRows], num_rows: int) -> Iterator[IndexRows]:
    """Yield `first` and further blocks until there are `num_rows` rows."""
    yield first
    num_rows -= len(first.vectors_ND)
    while num_rows > 0 and (block := next(blocks, None)) is not None:
        yield block
        num_rows -= len(block.vectors_ND)


def _next_name(manifest: IndexManifest) -> str:
    return f"{1 + max((int(shard.name) for shard in manifest.shards), default=0):04d}"


def _held(folder: Path) -> NDArray[np.float32]:
    held: NDArray[np.float32] = np.load(folder / _HELD_NAME, allow_pickle=False)
    return held
