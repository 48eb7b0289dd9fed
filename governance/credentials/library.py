"""The one adapter to `c2pa`, the library that signs and reads C2PA manifest stores.

Written for c2pa-python 0.38 and its habits:
- Settings only count when a `Context` made from them is passed to every reader and builder; `load_settings`
  does nothing. A context dies with a fork, so there is one for each process.
- The network stays off: by default, reading a file fetches whatever address the file names.
- There is one pool of anchors, for signers and time-stamp authorities together.
- What a signing function raises, and why a time-stamp could not be had, is lost in it; both are kept here.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from governance.credentials.store import ManifestStore
from governance.errors import NoManifest, SigningError, VerificationError
from governance.signing.keys import SigningIdentity
from governance.signing.time_stamps import Relay, relay_to
from governance.trust.anchors import TrustAnchors

if TYPE_CHECKING:
    from c2pa import Builder, Context, Reader, Signer

STORE_MEDIA_TYPE = "application/c2pa"
MERKLE_ABOVE_BYTES = 256 * 1000 * 1000
"""Larger MP4 files get a hash for each MiB, so that signing and reading them takes bounded memory. Smaller ones get
one hash, which every validator knows (c2pa-ts refuses the other kind)."""

# Purposes a signing certificate may have: e-mail protection, document signing, C2PA claim signing. Without
# this list, the library accepts the first alone.
_TRUST_CONFIG = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.62558.2.1\n"
_MERKLE_CHUNK_KIB = 1024
# The library signs copies; larger ones go to a temporary file. By default signing 300 MB took 580 MB of memory, and
# takes 11 MB like this.
_COPY_IN_MEMORY_MB = 16


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """A signed artefact that goes into another one, with its whole manifest store."""

    label: str
    """The name by which actions refer to it (`ingredientIds`)."""
    definition: Mapping[str, Any]
    store: bytes = field(repr=False)


def read_manifests(
    file: BinaryIO, store: bytes | None, *, media_type: str, trust: TrustAnchors, subject: str
) -> ManifestStore:
    """Read and validate the manifest store embedded in `file`, or `store`, which speaks for it.

    Raises `NoManifest` if there is none, `VerificationError` if it cannot be read as one.
    """
    with _reader(file, store, media_type=media_type, trust=trust, subject=subject) as reader:
        read = json.loads(reader.json())
        jumbf = io.BytesIO()
        reader.resource_to_stream(f"self#jumbf=/c2pa/{read['active_manifest']}", jumbf)
    return ManifestStore(
        state=read["validation_state"],
        active_label=read["active_manifest"],
        manifests=read["manifests"],
        validation_results=read["validation_results"],
        jumbf=jumbf.getvalue(),
    )


def read_crjson(
    file: BinaryIO, store: bytes | None, *, media_type: str, trust: TrustAnchors, subject: str
) -> dict[str, Any]:
    """Read the same in crJSON, the form that the rubrics of the conformance programme look at.

    `trust` may hold no anchor at all: nobody is trusted then.

    Raises `NoManifest` or `VerificationError` as `read_manifests`.
    """
    with _reader(file, store, media_type=media_type, trust=trust, subject=subject) as reader:
        read: dict[str, Any] = json.loads(reader.crjson())
    return read


@contextlib.contextmanager
def _reader(
    file: BinaryIO, store: bytes | None, *, media_type: str, trust: TrustAnchors, subject: str
) -> Iterator[Reader]:
    from c2pa import C2paError, Reader

    try:
        with Reader(media_type, file, store, context=context_of(trust)) as reader:
            yield reader
    except C2paError.ManifestNotFound as exc:
        raise NoManifest(f"{subject}: carries no Content Credentials") from exc
    except (C2paError, ValueError) as exc:
        raise VerificationError(f"{subject}: its Content Credentials cannot be read: {exc}") from exc


def context_of(trust: TrustAnchors, *, num_bytes: int = 0) -> Context:
    """Return the context of this process for these anchors and for signing a file of `num_bytes`."""
    chunk_kib = _MERKLE_CHUNK_KIB if num_bytes > MERKLE_ABOVE_BYTES else None
    return _context_of(os.getpid(), trust.pem + trust.time_stamp_pem, chunk_kib)


@functools.lru_cache(maxsize=8)
def _context_of(process_id: int, anchors_pem: bytes, chunk_kib: int | None) -> Context:  # noqa: ARG001 - the process is part of the key
    from c2pa import Context

    anchors = {"user_anchors": anchors_pem.decode("ascii")} if anchors_pem else {}
    settings = {
        "version": 1,
        "trust": anchors | {"trust_config": _TRUST_CONFIG},
        "verify": {
            "verify_trust": True,
            "verify_timestamp_trust": True,
            # Everything signed here is read back by us, from the file, and held against more than this would ask.
            "verify_after_sign": False,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": [], "backing_store_memory_threshold_in_mb": _COPY_IN_MEMORY_MB}
        | ({"merkle_tree_chunk_size_in_kb": chunk_kib} if chunk_kib else {}),
    }
    return Context.from_dict(settings)


@contextlib.contextmanager
def manifest_builder(
    manifest: Mapping[str, Any],
    ingredients: Sequence[Ingredient],
    trust: TrustAnchors,
    *,
    resources: Mapping[str, bytes] | None = None,
    num_bytes: int = 0,
) -> Iterator[Builder]:
    """Yield a builder that holds the manifest, its ingredients with their stores, and the resources it refers to.

    `num_bytes` is the size of the file that it is for. Ingredients that nobody signed stand in the manifest itself.
    """
    from c2pa import Builder

    stores = {
        ingredient.definition["manifest_data"]["identifier"]: ingredient.store for ingredient in ingredients
    }
    definitions = [*(ingredient.definition for ingredient in ingredients), *manifest.get("ingredients", ())]
    context = context_of(trust, num_bytes=num_bytes)
    with Builder({**manifest, "ingredients": definitions}, context=context) as builder:
        for identifier, content in {**(resources or {}), **stores}.items():
            builder.add_resource(identifier, io.BytesIO(content))
        yield builder


def keep_parent(builder: Builder) -> None:
    """Make what is signed an edit of its source, with the source's manifests below its own.

    Never an update manifest: with one, redacted bytes stay in the file, and the file is Invalid.
    """
    from c2pa import C2paBuilderIntent

    builder.set_intent(C2paBuilderIntent.EDIT)


def sign(
    builder: Builder,
    identity: SigningIdentity,
    media_type: str,
    source: BinaryIO,
    destination: BinaryIO,
    *,
    subject: str,
) -> bytes:
    """Sign and return the manifest store; `destination` receives the asset, with the store if embedded.

    Raises `SigningError` with the real reason as its cause: the library's, the signing function's, or that of the
    time-stamp authority.
    """
    from c2pa import C2paError

    recorder = None if identity.sign is None else _Recorder(identity.sign)
    with _relay(identity) as relay:
        try:
            with _signer(identity, recorder, None if relay is None else relay.url) as signer:
                return bytes(builder.sign(signer, media_type, source, destination))
        except C2paError as exc:
            if recorder is not None:
                recorder.explain(subject)
            if relay is not None:
                relay.explain(subject)
            raise SigningError(f"{subject}: could not be signed: {exc}") from exc


@contextlib.contextmanager
def signing_failures(subject: Path | str) -> Iterator[None]:
    """Turn the ways in which building a manifest and writing files fail into `SigningError`."""
    from c2pa import C2paError

    try:
        yield
    except (C2paError, OSError) as exc:
        raise SigningError(f"{subject}: could not be signed: {exc}") from exc


@contextlib.contextmanager
def _relay(identity: SigningIdentity) -> Iterator[Relay | None]:
    if identity.time_stamp is None:
        yield None
    else:
        with relay_to(identity.time_stamp) as relay:
            yield relay


def _signer(identity: SigningIdentity, recorder: _Recorder | None, time_stamp_url: str | None) -> Signer:
    from c2pa import C2paSignerInfo, C2paSigningAlg, Signer

    if recorder is None:
        return Signer.from_info(
            C2paSignerInfo(
                alg=identity.algorithm,
                sign_cert=identity.chain_pem,
                private_key=identity.key_pem,
                ta_url=time_stamp_url,
            )
        )
    algorithm = C2paSigningAlg[identity.algorithm.upper()]
    return Signer.from_callback(recorder, algorithm, identity.chain_pem.decode("ascii"), time_stamp_url)


class _Recorder:
    """Calls a signing function for the library and keeps what it raises, which the library would swallow."""

    def __init__(self, function: Callable[[bytes], bytes]) -> None:
        self._function = function
        self._error: BaseException | None = None

    def __call__(self, data: bytes) -> bytes:
        try:
            return self._function(data)
        except BaseException as exc:  # noqa: BLE001 - raised again by `explain`, once the library has returned
            self._error = exc
            return b""  # which the library takes for a failure

    def explain(self, subject: str) -> None:
        """Raise what the function raised, if it did: an error as cause of a `SigningError`, an interruption as is."""
        if isinstance(self._error, Exception):
            hint = getattr(self._error, "hint", None)
            raise SigningError(f"{subject}: could not be signed: {self._error}", hint=hint) from self._error
        if self._error is not None:
            raise self._error
