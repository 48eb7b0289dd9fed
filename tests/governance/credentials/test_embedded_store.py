"""The manifest store inside a clip, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.credentials.embedded_store import extract_store
from governance.credentials.engine import read_store
from governance.errors import NoManifest, VerificationError
from governance.manifests.manifest import CLIP_MEDIA_TYPE
from governance.registry.kept_stores import keep_store, read_kept_store, store_path
from tests.governance.mp4_surgery import span_of
from tests.governance.signed_chain import SignedChain
from tests.library import make_library
from tests.media import flip_byte


def test_it_is_the_store_that_validates(signed_chain: SignedChain, tmp_path: Path) -> None:
    """Taken out and put beside the file as a sidecar, it says the same."""
    trust = signed_chain.signer.trust
    sidecar = tmp_path / "clip.c2pa"
    sidecar.write_bytes(extract_store(signed_chain.clip))
    inside = read_store(signed_chain.clip, trust, media_type=CLIP_MEDIA_TYPE)
    beside = read_store(signed_chain.unsigned_clip, trust, media_type=CLIP_MEDIA_TYPE, sidecar=sidecar)
    assert (beside.active_label, beside.manifests) == (inside.active_label, inside.manifests)


def test_what_is_not_there_or_twice_there_is_none(signed_chain: SignedChain, tmp_path: Path) -> None:
    with pytest.raises(NoManifest):
        extract_store(signed_chain.unsigned_clip)
    content = signed_chain.clip.read_bytes()
    start, end = span_of(content, "uuid")
    twice = tmp_path / "twice.mp4"
    twice.write_bytes(content + content[start:end])
    with pytest.raises(VerificationError, match="2 manifest stores"):
        extract_store(twice)


def test_a_kept_store_is_read_back_or_refused(tmp_path: Path) -> None:
    project = make_library(tmp_path)
    sha256 = keep_store(project, b"a manifest store")
    assert keep_store(project, b"a manifest store") == sha256
    assert read_kept_store(project, sha256) == b"a manifest store"
    flip_byte(store_path(project, sha256), 3)
    with pytest.raises(VerificationError, match="changed"):
        read_kept_store(project, sha256)
    store_path(project, sha256).unlink()
    with pytest.raises(VerificationError, match="cannot be read"):
        read_kept_store(project, sha256)
