"""Content Credentials: the one adapter to `c2pa`, which signs and reads C2PA manifest stores.

Written for c2pa-python 0.38 and its habits:
- Settings only count when a `Context` made from them is passed to every reader and builder; `load_settings`
  does nothing. A context dies with a fork, so there is one for each process.
- The network stays off: by default, reading a file fetches whatever address the file names.
- Signing a file that carries credentials drops them without a word, and signing a file onto itself empties
  it; both are refused here.
- `Valid` means that some certificate signed. What we sign must read `Trusted`, and is read back before it
  appears.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from db.errors import RefusedError
from db.files import durable_file
from governance.credentials.container_guard import check_container
from governance.credentials.keys import SigningIdentity
from governance.credentials.store import ManifestStore
from governance.credentials.trust import TrustAnchors
from governance.errors import NoManifest, SigningError, VerificationError

if TYPE_CHECKING:
    from c2pa import Builder, Context

# Purposes a signing certificate may have: e-mail protection, document signing, C2PA claim signing. Without
# this list, the library accepts the first alone.
_TRUST_CONFIG = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.62558.2.1\n"
_STORE_MEDIA_TYPE = "application/c2pa"
_GUARDED_MEDIA_TYPES = frozenset({"video/mp4", "video/quicktime"})
_CANARY = b"cleartitle: this file exists to find out whether signing works"
_CANARY_SOURCE_TYPE = "http://c2pa.org/digitalsourcetype/empty"


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """A signed artefact that goes into another one, with its whole manifest store."""

    label: str
    """The name by which actions refer to it (`ingredientIds`)."""
    definition: Mapping[str, Any]
    store: bytes = field(repr=False)


def sign_sidecar(
    manifest: Mapping[str, Any],
    asset: Path,
    sidecar: Path,
    *,
    media_type: str,
    identity: SigningIdentity,
    trust: TrustAnchors,
    ingredients: Sequence[Ingredient] = (),
) -> ManifestStore:
    """Sign any file and write its manifest store to `sidecar`; the file itself is not touched.

    The store is read back, must be Trusted under `trust`, and is returned. On any failure `sidecar` is as it
    was. An existing sidecar is replaced.

    Raises `SigningError` if signing or writing fails, `VerificationError` if the result does not verify.
    """
    _self_test(identity, trust)
    with _signing(asset), durable_file(sidecar) as staged:
        # The library copies the asset although nothing is embedded; weights are too large to copy in memory.
        with (
            asset.open("rb") as source,
            tempfile.TemporaryFile(dir=sidecar.parent) as copy,
            _builder(manifest, ingredients, trust) as builder,
        ):
            builder.set_no_embed()
            store = _sign(builder, identity, media_type, source, copy)
        staged.write_bytes(store)
        written = read_store(asset, trust, media_type=media_type, sidecar=staged)
        written.require_sound(str(asset))
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
) -> ManifestStore:
    """Write a signed copy of `source` to `destination`, with the manifest store inside.

    The copy is read back, must be Trusted under `trust`, and for MP4 must pass the container guard. On any
    failure `destination` is as it was.

    Raises `RefusedError` if `source` is signed already or is `destination`, `SigningError` if signing or
    writing fails, `VerificationError` if source or result do not hold.
    """
    if source.resolve() == destination.resolve():
        raise RefusedError(f"{source}: cannot be signed onto itself")
    _self_test(identity, trust)
    _guard(source, media_type)
    _refuse_signed(source, media_type, trust)
    with _signing(source), durable_file(destination) as staged:
        with (
            source.open("rb") as unsigned,
            staged.open("w+b") as signed,
            _builder(manifest, ingredients, trust) as builder,
        ):
            _sign(builder, identity, media_type, unsigned, signed)
        _guard(staged, media_type)
        written = read_store(staged, trust, media_type=media_type)
        written.require_sound(str(source))
    return written


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
        return _read(file, store, media_type=media_type, trust=trust, subject=str(path))


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
    definition = {
        "title": title,
        "relationship": "inputTo",
        "label": label,
        "format": media_type,
        "instance_id": read.active["instance_id"],
        "data_types": [dict(data_type) for data_type in data_types],
        "active_manifest": read.active_label,
        "validation_results": dict(read.validation_results),
        "manifest_data": {"format": _STORE_MEDIA_TYPE, "identifier": f"{label}.c2pa"},
    }
    return Ingredient(label=label, definition=definition, store=sidecar.read_bytes())


@functools.lru_cache(maxsize=4)
def _context_of(process_id: int, anchors_pem: bytes) -> Context:  # noqa: ARG001 - the process is part of the key
    """Return the context of this process for these anchors; a context from before a fork is not valid."""
    from c2pa import Context

    settings = {
        "version": 1,
        "trust": {"user_anchors": anchors_pem.decode("ascii"), "trust_config": _TRUST_CONFIG},
        "verify": {
            "verify_trust": True,
            "verify_timestamp_trust": True,
            "verify_after_sign": True,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": []},
    }
    return Context.from_dict(settings)


def _context(trust: TrustAnchors) -> Context:
    return _context_of(os.getpid(), trust.pem)


def _read(
    file: BinaryIO, store: bytes | None, *, media_type: str, trust: TrustAnchors, subject: str
) -> ManifestStore:
    from c2pa import C2paError, Reader

    try:
        with Reader(media_type, file, store, context=_context(trust)) as reader:
            read = json.loads(reader.json())
    except C2paError.ManifestNotFound as exc:
        raise NoManifest(f"{subject}: carries no Content Credentials") from exc
    except C2paError as exc:
        raise VerificationError(f"{subject}: its Content Credentials cannot be read: {exc}") from exc
    return ManifestStore(
        state=read["validation_state"],
        active_label=read["active_manifest"],
        manifests=read["manifests"],
        validation_results=read["validation_results"],
    )


@contextlib.contextmanager
def _builder(
    manifest: Mapping[str, Any], ingredients: Sequence[Ingredient], trust: TrustAnchors
) -> Iterator[Builder]:
    """Yield a builder that holds the manifest and its ingredients with their stores."""
    from c2pa import Builder

    definition = {**manifest, "ingredients": [ingredient.definition for ingredient in ingredients]}
    with Builder(definition, context=_context(trust)) as builder:
        for ingredient in ingredients:
            builder.add_resource(
                ingredient.definition["manifest_data"]["identifier"], io.BytesIO(ingredient.store)
            )
        yield builder


def _sign(
    builder: Builder, identity: SigningIdentity, media_type: str, source: BinaryIO, destination: BinaryIO
) -> bytes:
    """Sign and return the manifest store; `destination` receives the asset, with the store if embedded."""
    from c2pa import C2paSignerInfo, Signer

    info = C2paSignerInfo(
        alg=identity.algorithm, sign_cert=identity.chain_pem, private_key=identity.key_pem, ta_url=None
    )
    with Signer.from_info(info) as signer:
        return bytes(builder.sign(signer, media_type, source, destination))


@contextlib.contextmanager
def _signing(subject: Path | str) -> Iterator[None]:
    """Turn the ways in which signing and writing fail into `SigningError`."""
    from c2pa import C2paError

    try:
        yield
    except C2paError as exc:
        raise SigningError(f"{subject}: could not be signed: {exc}") from exc
    except OSError as exc:
        raise SigningError(f"{subject}: could not be signed: {exc}") from exc


def _refuse_signed(source: Path, media_type: str, trust: TrustAnchors) -> None:
    """Refuse a source with credentials of any state, readable or not."""
    try:
        read_store(source, trust, media_type=media_type)
    except NoManifest:
        return
    except OSError as exc:
        raise SigningError(f"{source}: could not be signed: {exc}") from exc
    raise RefusedError(f"{source}: is signed already; signing it again would discard its Content Credentials")


def _guard(path: Path, media_type: str) -> None:
    if media_type in _GUARDED_MEDIA_TYPES:
        check_container(path)


def _self_test(identity: SigningIdentity, trust: TrustAnchors) -> None:
    """Sign a few bytes and require Trusted, once for each process and identity.

    The library ignores misspelt settings, so only this tells whether identity and anchors belong together.
    Raises `SigningError` if they do not.
    """
    _self_test_of(os.getpid(), identity, trust)


@functools.lru_cache(maxsize=4)
def _self_test_of(process_id: int, identity: SigningIdentity, trust: TrustAnchors) -> None:  # noqa: ARG001
    action = {"action": "c2pa.created", "digitalSourceType": _CANARY_SOURCE_TYPE}
    actions = {"actions": [action], "allActionsIncluded": True}
    manifest = {
        "claim_generator_info": [{"name": "cleartitle self-test"}],
        "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": actions}],
    }
    with _signing("self-test"), _builder(manifest, (), trust) as builder:
        builder.set_no_embed()
        store = _sign(builder, identity, "application/octet-stream", io.BytesIO(_CANARY), io.BytesIO())
    read = _read(
        io.BytesIO(_CANARY), store, media_type="application/octet-stream", trust=trust, subject="self-test"
    )
    if read.state != "Trusted":
        raise SigningError(
            f"self-test: what this identity signs reads {read.state}, expected Trusted",
            hint=f"the signing certificate does not lead to the trust anchors ({trust.description})",
        )
