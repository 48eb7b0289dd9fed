"""Content Credentials: signs files with C2PA manifest stores, beside them or inside, and reads them back.

What is never done, though the library would:
- A file that carries credentials is not signed anew, which would drop them without a word; it can be edited
  (`sign_edited`), which keeps them as its parent.
- No file is signed onto itself, which would empty it.
- `Valid` means that some certificate signed. What we sign must read `Trusted`, and is read back before it
  appears.
- Where a time-stamp is asked for, nothing appears without one that an anchor for time-stamps stands behind.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.errors import RefusedError
from db.files import durable_file
from governance.credentials.container_guard import check_container
from governance.credentials.embedded_store import extract_store
from governance.credentials.file_kinds import FILM_MEDIA_TYPES
from governance.credentials.library import (
    STORE_MEDIA_TYPE,
    Ingredient,
    context_of,
    keep_parent,
    manifest_builder,
    read_manifests,
    sign,
    signing_failures,
)
from governance.credentials.self_test import require_time_stamp, require_working_identity
from governance.credentials.store import ManifestStore
from governance.errors import NoManifest, SigningError, VerificationError
from governance.signing.keys import SigningIdentity
from governance.trust.anchors import TrustAnchors

__all__ = [
    "Ingredient",
    "context_of",
    "ingredient_from_sidecar",
    "ingredient_from_signed",
    "read_detached",
    "read_store",
    "sign_edited",
    "sign_embedded",
    "sign_sidecar",
]


def sign_sidecar(
    manifest: Mapping[str, Any],
    asset: Path,
    sidecar: Path,
    *,
    media_type: str,
    identity: SigningIdentity,
    trust: TrustAnchors,
    ingredients: Sequence[Ingredient] = (),
    resources: Mapping[str, bytes] | None = None,
) -> ManifestStore:
    """Sign any file and write its manifest store to `sidecar`; the file itself is not touched.

    `resources` are what the manifest refers to by identifier, such as a thumbnail.
    The store is read back, must be Trusted under `trust`, and is returned. On any failure `sidecar` is as it
    was. An existing sidecar is replaced.

    Raises `SigningError` if signing or writing fails, `VerificationError` if the result does not verify.
    """
    require_working_identity(identity, trust)
    with signing_failures(asset), durable_file(sidecar) as staged:
        # The library copies the asset although nothing is embedded; weights are too large to copy in memory.
        with (
            asset.open("rb") as source,
            tempfile.TemporaryFile(dir=sidecar.parent) as copy,
            manifest_builder(manifest, ingredients, trust, resources=resources) as builder,
        ):
            builder.set_no_embed()
            store = sign(builder, identity, media_type, source, copy, subject=str(asset))
        staged.write_bytes(store)
        written = read_store(asset, trust, media_type=media_type, sidecar=staged)
        written.require_sound(str(asset))
        require_time_stamp(store, identity, trust, subject=str(asset))
    return written


def sign_embedded(
    manifest: Mapping[str, Any],
    source: Path,
    destination: Path,
    *,
    media_type: str,
    identity: SigningIdentity,
    trust: TrustAnchors,
    ingredients: Sequence[Ingredient] = (),
    resources: Mapping[str, bytes] | None = None,
) -> ManifestStore:
    """Write a signed copy of `source` to `destination`, with the manifest store inside.

    `resources` are what the manifest refers to by identifier, such as a thumbnail.
    The copy is read back, must be Trusted under `trust`, and for MP4 must pass the container guard. On any
    failure `destination` is as it was.

    Raises `RefusedError` if `source` is signed already or is `destination`, `SigningError` if signing or
    writing fails, `VerificationError` if source or result do not hold.
    """
    _refuse_onto_itself(source, destination)
    require_working_identity(identity, trust)
    _guard(source, media_type)
    _refuse_signed(source, media_type, trust)
    with signing_failures(source), durable_file(destination) as staged:
        with (
            source.open("rb") as unsigned,
            staged.open("w+b") as signed,
            manifest_builder(
                manifest, ingredients, trust, resources=resources, num_bytes=_size_of(source)
            ) as builder,
        ):
            store = sign(builder, identity, media_type, unsigned, signed, subject=str(source))
        return _read_back(staged, store, media_type, identity, trust, subject=str(source))


def sign_edited(
    manifest: Mapping[str, Any],
    source: Path,
    destination: Path,
    *,
    media_type: str,
    identity: SigningIdentity,
    trust: TrustAnchors,
) -> ManifestStore:
    """Write a copy of the signed file `source` with one more manifest on top; the old ones go below, as its parent.

    The manifest lists what was done after opening; the library adds `c2pa.opened` and the parent. It may name
    `redactions`. Read back and checked as by `sign_embedded`.

    Raises `NoManifest` if `source` carries no credentials, otherwise as `sign_embedded`.
    """
    _refuse_onto_itself(source, destination)
    require_working_identity(identity, trust)
    _guard(source, media_type)
    with signing_failures(source):
        read_store(source, trust, media_type=media_type).require_sound(str(source))
    with signing_failures(source), durable_file(destination) as staged:
        with (
            source.open("rb") as before,
            staged.open("w+b") as after,
            manifest_builder(manifest, (), trust, num_bytes=_size_of(source)) as builder,
        ):
            keep_parent(builder)
            store = sign(builder, identity, media_type, before, after, subject=str(source))
        return _read_back(staged, store, media_type, identity, trust, subject=str(source))


def read_store(
    path: Path, trust: TrustAnchors, *, media_type: str, sidecar: Path | None = None
) -> ManifestStore:
    """Read and validate the manifest store embedded in `path`, or the one in `sidecar` that speaks for it.

    Validation states and failures are reported in the result, not judged.

    Raises `NoManifest` if there is none, `VerificationError` if it cannot be read as one, `OSError` if a file
    cannot be opened.
    """
    store = None if sidecar is None else sidecar.read_bytes()
    if store is not None and not store:
        raise VerificationError(f"{sidecar}: is empty")
    with path.open("rb") as file:
        return read_manifests(file, store, media_type=media_type, trust=trust, subject=str(path))


def read_detached(store: bytes, trust: TrustAnchors, *, subject: str) -> ManifestStore:
    """Read and validate a manifest store without the file it speaks for.

    Signatures, trust, time-stamps and ingredients are validated; the hard binding cannot be, and always reads as a
    failure of the active manifest.

    Raises `VerificationError` if it cannot be read as one.
    """
    return read_manifests(io.BytesIO(store), None, media_type=STORE_MEDIA_TYPE, trust=trust, subject=subject)


def ingredient_from_sidecar(
    asset: Path,
    sidecar: Path,
    *,
    title: str,
    label: str,
    data_types: Sequence[Mapping[str, str]],
    media_type: str,
    trust: TrustAnchors,
) -> Ingredient:
    """Make an `inputTo` ingredient of a file that was signed with a sidecar.

    The store goes in whole, as manifest data. It is never handed over as an ingredient of type
    `application/c2pa`: the library takes that for an archive and silently links the grandchild instead.

    Raises `VerificationError` unless the file is Trusted now and free of failures at every depth,
    `NoManifest` or `OSError` as `read_store`.
    """
    read = read_store(asset, trust, media_type=media_type, sidecar=sidecar)
    read.require_sound(str(asset))
    definition = _input_definition(read, title=title, label=label, media_type=media_type)
    definition["data_types"] = [dict(data_type) for data_type in data_types]
    return Ingredient(label=label, definition=definition, store=sidecar.read_bytes())


def ingredient_from_signed(
    asset: Path, *, title: str, label: str, media_type: str, trust: TrustAnchors
) -> Ingredient:
    """Make an `inputTo` ingredient of an MP4 that carries its store inside, as `ingredient_from_sidecar` does."""
    read = read_store(asset, trust, media_type=media_type)
    read.require_sound(str(asset))
    definition = _input_definition(read, title=title, label=label, media_type=media_type)
    return Ingredient(label=label, definition=definition, store=extract_store(asset))


def _input_definition(read: ManifestStore, *, title: str, label: str, media_type: str) -> dict[str, Any]:
    return {
        "title": title,
        "relationship": "inputTo",
        "label": label,
        "format": media_type,
        "instance_id": read.active["instance_id"],
        "active_manifest": read.active_label,
        "validation_results": dict(read.validation_results),
        "manifest_data": {"format": STORE_MEDIA_TYPE, "identifier": f"{label}.c2pa"},
    }


def _refuse_onto_itself(source: Path, destination: Path) -> None:
    if source.resolve() == destination.resolve():
        raise RefusedError(f"{source}: cannot be signed onto itself")


def _refuse_signed(source: Path, media_type: str, trust: TrustAnchors) -> None:
    """Refuse a source with credentials of any state, readable or not."""
    try:
        read_store(source, trust, media_type=media_type)
    except NoManifest:
        return
    except OSError as exc:
        raise SigningError(f"{source}: could not be signed: {exc}") from exc
    raise RefusedError(f"{source}: is signed already; signing it again would discard its Content Credentials")


def _size_of(path: Path) -> int:
    return path.stat().st_size


def _guard(path: Path, media_type: str) -> None:
    if media_type in FILM_MEDIA_TYPES:
        check_container(path)


def _read_back(
    staged: Path,
    store: bytes,
    media_type: str,
    identity: SigningIdentity,
    trust: TrustAnchors,
    *,
    subject: str,
) -> ManifestStore:
    """Read what has been written and require that it holds, before it gets its name."""
    _guard(staged, media_type)
    written = read_store(staged, trust, media_type=media_type)
    written.require_sound(subject)
    require_time_stamp(store, identity, trust, subject=subject)
    return written
