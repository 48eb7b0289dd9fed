"""The commands about the index of a large library: index build, show, verify, drop. They parse, call and print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from db.errors import ConfigError, RefusedError
from db.terminal import json_option, note, progress, project_option, say, say_field, say_json

if TYPE_CHECKING:
    from pathlib import Path

    from db.project import Project
    from ingest.encoders.encoder import EncoderIdentity
    from ingest.index.kind import IndexKind, KindName
    from ingest.index.manifest import IndexManifest
    from ingest.index.rows import IndexRows
    from ingest.matching.nomination import LibraryIndex
    from ingest.pictures.vectors import VectorStore

_KINDS: dict[str, KindName] = {
    "flat": "flat-fp16",
    "ivf-pq": "ivf-pq",
    "ivf-sq8": "ivf-sq8",
    "ivf-rabitq": "ivf-rabitq",
}
_BLOCK_ROWS = 32_768
"""Rows read at once: 340 MB where the encoder has 1,280 dimensions, in half and in single precision."""
_SHARD_ROWS = 5_000_000
_SHARD_BYTES = 2 << 30
"""A shard is filled in memory."""
_MAX_SMALL_SHARDS = 8
_NO_INDEX = "no index: every search compares with every stored row"
_BUILD_HINT = "run `cleartitle index build`"


@click.group()
def index() -> None:
    """Build and check the index that searches a large library.

    Example: cleartitle index build
    """


@index.command()
@click.option(
    "--kind",
    "kind_name",
    type=click.Choice(list(_KINDS)),
    help="How vectors are kept.  [default: as it is, or by the number of rows]",
)
@json_option
@project_option
def build(kind_name: str | None, *, as_json: bool, project_dir: Path) -> None:
    """Bring the index to hold what is embedded: add what is new, remove what is gone.

    Without an index every search reads all stored vectors, which is fine up to about 20 million. An interrupted build
    goes on where it was. Another kind, or a new `encoder fit`, builds it anew.

    Example: cleartitle index build --kind ivf-pq
    """
    from ingest.matching.nomination import index_of

    project, identity = _opened(project_dir)
    library_index = index_of(project, identity)
    assets = _embedded(project, identity)
    if not assets and not library_index.is_there:
        raise ConfigError(
            f"nothing is embedded with {identity.name} yet", hint="take footage in with `cleartitle ingest`"
        )
    _build(project, identity, library_index, assets, kind_name)
    _report(project, identity, as_json=as_json)


@index.command()
@json_option
@project_option
def show(*, as_json: bool, project_dir: Path) -> None:
    """Say what the index holds, what a row takes, and how much it finds.

    Example: cleartitle index show --json
    """
    project, identity = _opened(project_dir)
    _report(project, identity, as_json=as_json)


@index.command()
@project_option
def verify(*, project_dir: Path) -> None:
    """Read every file of the index and compare its digest. Exit 1 if one differs.

    Example: cleartitle index verify
    """
    from ingest.errors import EncoderError
    from ingest.index.shards import verify_index

    folder = _existing(*_opened(project_dir))
    try:
        manifest = verify_index(folder)
    except EncoderError as exc:
        raise RefusedError(
            str(exc),
            hint="run `cleartitle index drop`, then `cleartitle index build`; the stored vectors are not touched",
        ) from exc
    say(f"all files of the index are as recorded: {manifest.num_rows} rows in {len(manifest.shards)} shards")


@index.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@project_option
def drop(*, dry_run: bool, project_dir: Path) -> None:
    """Delete the index. Nothing is lost with it: it is made of the stored vectors.

    Example: cleartitle index drop --dry-run
    """
    folder = _existing(*_opened(project_dir))
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if not dry_run:
        _delete(folder)
    say(f"{'would delete' if dry_run else 'deleted'} {folder}, {size_bytes} bytes")


def _opened(project_dir: Path) -> tuple[Project, EncoderIdentity]:
    from db.project import open_project
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder

    project = open_project(project_dir)
    return project, open_encoder(project.settings.encoder, choose_compute()).encoder.identity


def _embedded(project: Project, identity: EncoderIdentity) -> list[str]:
    from db import queries

    with project.session() as session:
        return list(queries.embedded_assets(session, identity.digest))


def _existing(project: Project, identity: EncoderIdentity) -> Path:
    from ingest.index.manifest import is_index
    from ingest.matching.nomination import index_folder

    folder = index_folder(project, identity)
    if not is_index(folder):
        raise ConfigError(f"{folder}: there is no index here", hint=_BUILD_HINT)
    return folder


def _build(
    project: Project,
    identity: EncoderIdentity,
    library_index: LibraryIndex,
    assets: Sequence[str],
    kind_name: str | None,
) -> None:
    from ingest.index.shards import assets_of, build_index
    from ingest.matching.nomination import estimated_rows
    from ingest.pictures.vectors import VectorStore

    folder, store = library_index.folder, VectorStore(project.vectors)
    standing = _standing(library_index)
    num_rows = estimated_rows(store, identity, assets)
    dim = _indexed_dim(library_index, identity)
    kind = _wanted_kind(kind_name, None if standing is None else standing.kind, num_rows, dim)
    rows_per_shard = min(_SHARD_ROWS, _SHARD_BYTES // kind.bytes_per_row(dim))
    is_kept = standing is not None and standing.kind == kind
    present = assets_of(folder) if is_kept else frozenset()
    with progress("indexing", len(set(assets) - present)) as advance:
        build_index(
            folder,
            library_index.identity,
            assets,
            _reader(store, identity, present, advance),
            num_rows=num_rows,
            rows_per_shard=rows_per_shard,
            kind=kind,
        )
    _merge_small(folder, rows_per_shard)


def _standing(library_index: LibraryIndex) -> IndexManifest | None:
    """Return the manifest of an index that can be gone on with; one that cannot is deleted."""
    from ingest.errors import EncoderError
    from ingest.index.manifest import check_sizes, shard_folder

    if not library_index.is_there:
        return None
    try:
        manifest = library_index.manifest()
        for shard in manifest.shards:
            check_sizes(shard_folder(library_index.folder, shard.name), shard.files)
    except EncoderError as exc:
        note(f"the index is built anew: {exc}")
        _delete(library_index.folder)
        return None
    return manifest


def _delete(folder: Path) -> None:
    from db.files import hidden_folder

    # Renamed first, so that a kill leaves the whole index or none.
    with hidden_folder(folder.parent) as hidden:
        folder.rename(hidden / folder.name)


def _indexed_dim(library_index: LibraryIndex, identity: EncoderIdentity) -> int:
    import numpy as np

    return int(library_index.identity.rows(np.zeros((1, identity.dim), dtype=np.float32)).shape[1])


def _wanted_kind(name: str | None, standing: IndexKind | None, num_rows: int, dim: int) -> IndexKind:
    """Return the kind to build: the one that stands, unless another is asked for or it outgrew exact search."""
    from ingest.index.kind import EXACT_ROWS, IndexKind, choose_kind, compressed_kind

    if name is None:
        has_outgrown = standing is not None and standing.is_exact and num_rows > EXACT_ROWS
        return standing if standing is not None and not has_outgrown else choose_kind(num_rows, dim)
    wanted = _KINDS[name]
    if standing is not None and standing.name == wanted:
        return standing
    return IndexKind(name=wanted) if wanted == "flat-fp16" else compressed_kind(num_rows, dim, wanted)


def _reader(
    store: VectorStore, identity: EncoderIdentity, present: frozenset[str], advance: Callable[[int], None]
) -> Callable[[Sequence[str]], Iterator[IndexRows]]:
    """Return what reads the rows of assets from the store and tells how many assets were read for the first time."""
    from ingest.index.rows import IndexRows

    seen = set(present)

    def _rows_of(assets: Sequence[str]) -> Iterator[IndexRows]:
        for block in store.blocks(assets, identity, max_rows=_BLOCK_ROWS):
            # Training and filling both read; the bar is that of the assets.
            advance(len(set(block.assets) - seen))
            seen.update(block.assets)
            if len(block.seconds_N):
                yield IndexRows(
                    assets=block.assets,
                    asset_N=block.asset_N,
                    view_N=block.view_N.astype("int64"),
                    seconds_N=block.seconds_N,
                    vectors_ND=block.vectors_ND,
                )

    return _rows_of


def _merge_small(folder: Path, rows_per_shard: int) -> None:
    """Make one shard of the smallest once there are many: every build adds one, and each is searched by itself."""
    from ingest.index.manifest import read_manifest
    from ingest.index.shards import merge_shards

    small = [shard for shard in read_manifest(folder).shards if shard.num_rows < rows_per_shard // 2]
    if len(small) <= _MAX_SMALL_SHARDS:
        return
    names: list[str] = []
    for shard in sorted(small, key=lambda shard: shard.num_rows):
        rows_per_shard -= shard.num_rows
        if rows_per_shard >= 0:
            names.append(shard.name)
    merge_shards(folder, names)


def _report(project: Project, identity: EncoderIdentity, *, as_json: bool) -> None:
    from ingest.index.manifest import is_index
    from ingest.matching.nomination import index_folder

    folder = index_folder(project, identity)
    facts: dict[str, Any] = {"kind": "index", "encoder": identity.name, "encoder_digest": identity.digest}
    if is_index(folder):
        facts |= _facts(project, identity, folder)
    else:
        facts |= {"index_kind": None, "num_assets_missing": len(_embedded(project, identity))}
    if as_json:
        say_json(facts)
    elif facts["index_kind"] is None:
        say(_NO_INDEX)
    else:
        _print(facts)


def _facts(project: Project, identity: EncoderIdentity, folder: Path) -> dict[str, Any]:
    from ingest.errors import EncoderError
    from ingest.index.manifest import read_manifest
    from ingest.index.shards import assets_of
    from ingest.matching.nomination import index_of, index_statement

    manifest, present, embedded = read_manifest(folder), assets_of(folder), set(_embedded(project, identity))
    num_bytes = sum(file.size_bytes for shard in manifest.shards for file in shard.files.values())
    reason = None
    try:
        index_of(project, identity).manifest()
    except EncoderError as exc:
        reason = str(exc)
    return {
        "folder": str(folder),
        "index_kind": manifest.kind.name,
        "num_lists": manifest.kind.num_lists,
        "dim": manifest.dim,
        "num_rows": manifest.num_rows,
        "num_shards": len(manifest.shards),
        "bytes_per_row": round(num_bytes / max(1, manifest.num_rows), 1),
        "normalization_digest": manifest.transform_digest,
        "recall_nominated": None if manifest.recall is None else manifest.recall.recall_nominated,
        "recall_at_64": None if manifest.recall is None else manifest.recall.recall_at_64,
        "num_probes": None if manifest.recall is None else manifest.recall.num_probes,
        "statement": index_statement(project, identity),
        "num_assets": len(present),
        "num_assets_missing": len(embedded - present),
        "num_assets_gone": len(present - embedded),
        "not_used_because": reason,
    }


def _print(facts: dict[str, Any]) -> None:
    say(f"kind      {facts['index_kind']}, {facts['dim']} dimensions, {facts['num_lists']} lists")
    say(f"rows      {facts['num_rows']} in {facts['num_shards']} shards, {facts['bytes_per_row']} bytes each")
    say(f"assets    {facts['num_assets']}")
    say(f"encoder   {facts['encoder']} {facts['encoder_digest'][:16]}")
    say(f"fitted    {facts['normalization_digest'] or 'no normalisation'}")
    if facts["recall_nominated"] is not None:
        say(f"measured  {100 * facts['recall_nominated']:.1f} % of the true nearest are nominated")
    if facts["statement"] is not None:
        say_field("so", facts["statement"])
    if facts["num_assets_missing"]:
        say_field(
            "missing", f"{facts['num_assets_missing']} assets, compared one by one; {_BUILD_HINT} to add them"
        )
    if facts["num_assets_gone"]:
        say_field("gone", f"{facts['num_assets_gone']} assets that are not embedded any more; {_BUILD_HINT}")
    if facts["not_used_because"] is not None:
        say_field("not used", f"{facts['not_used_because']}; {_BUILD_HINT}")
