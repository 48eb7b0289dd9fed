"""Files without credentials that a registry knows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from db.errors import UndecidedError
from governance.credentials.engine import read_store
from governance.trust.anchors import TrustAnchors
from governance.verification.verdict import Binding, Recovered, VerdictOutcome
from governance.verification.verify import verify_file
from ingest.errors import MediaError
from tests.governance.mp4_surgery import flip, strip_manifest
from tests.governance.signed_chain import SignedChain, make_signer

RECOVERED, NO_MANIFEST = VerdictOutcome.RECOVERED, VerdictOutcome.NO_MANIFEST


@pytest.fixture
def stripped(signed_chain: SignedChain, tmp_path: Path) -> Path:
    path = tmp_path / "stripped.mp4"
    path.write_bytes(strip_manifest(signed_chain.clip.read_bytes()))
    return path


@pytest.fixture
def kept(signed_chain: SignedChain) -> Recovered:
    """What a registry kept of the clip."""
    store = read_store(signed_chain.clip, signed_chain.signer.trust, media_type="video/mp4")
    return Recovered(
        binding=Binding.HARD,
        clip_urn=signed_chain.clip_statement.clip_urn,
        manifest_label=store.active_label,
        store=store.jumbf,
        original_sha256="ab" * 32,
        certainty="the same bits",
    )


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        (Binding.HARD, "hard binding: the coded content is what was signed"),
        (Binding.WATERMARK, "soft binding, by the watermark"),
        (Binding.FINGERPRINT, "soft binding, by likeness"),
    ],
)
def test_a_stripped_clip_is_told_what_it_was_given(
    signed_chain: SignedChain, stripped: Path, kept: Recovered, binding: Binding, words: str
) -> None:
    found = dataclasses.replace(kept, binding=binding)
    verdict = verify_file(stripped, signed_chain.signer.trust, recover=lambda _path: found)
    assert verdict.outcome is RECOVERED
    assert verdict.failures == ()
    assert verdict.kind == "clip"
    assert verdict.chain is not None
    assert verdict.chain.model == signed_chain.model_statement
    assert any(words in remark and "the same bits" in remark for remark in verdict.remarks)


def test_a_recovered_verdict_is_json_without_the_store(
    signed_chain: SignedChain, stripped: Path, kept: Recovered
) -> None:
    values = verify_file(stripped, signed_chain.signer.trust, recover=lambda _path: kept).as_json()
    assert json.loads(json.dumps(values)) == values
    assert values["outcome"] == "recovered"
    assert values["recovered"]["binding"] == "hard"
    assert "store" not in values["recovered"]


def test_a_file_with_credentials_is_not_asked_about(signed_chain: SignedChain) -> None:
    def refuse(_path: Path) -> Recovered | None:
        raise AssertionError("asked")

    assert (
        verify_file(signed_chain.clip, signed_chain.signer.trust, recover=refuse).outcome
        is VerdictOutcome.PASS
    )


def test_an_unknown_file_has_no_manifest(signed_chain: SignedChain, stripped: Path) -> None:
    verdict = verify_file(stripped, signed_chain.signer.trust, recover=lambda _path: None)
    assert verdict.outcome is NO_MANIFEST
    assert "the registry knows nothing of this file" in verdict.remarks


def test_a_kind_that_carries_no_credentials_can_be_recovered_too(
    signed_chain: SignedChain, tmp_path: Path, kept: Recovered
) -> None:
    """A clip that was encoded anew as WebM, say."""
    path = tmp_path / "clip.webm"
    path.write_bytes(b"\x1a\x45\xdf\xa3 and so on")
    soft = dataclasses.replace(kept, binding=Binding.WATERMARK)
    verdict = verify_file(path, signed_chain.signer.trust, recover=lambda _path: soft)
    assert verdict.outcome is RECOVERED


def test_a_registry_that_cannot_answer_leaves_the_file_as_it_is(
    signed_chain: SignedChain, stripped: Path
) -> None:
    def fail(_path: Path) -> Recovered | None:
        raise UndecidedError("the database is away")

    verdict = verify_file(stripped, signed_chain.signer.trust, recover=fail)
    assert verdict.outcome is NO_MANIFEST
    assert [failure.code for failure in verdict.failures] == ["manifest.missing", "registry.unreadable"]


def _in_claim(store: bytes) -> bytes:
    return flip(store, store.index(b"dc:title\x71") + 12)


def _in_model(store: bytes) -> bytes:
    return flip(store, store.index(b"rectified-flow DiT"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"manifest_label": "urn:c2pa:other"}, "registry.unreadable"),
        ({"clip_urn": "urn:cleartitle:clip:other"}, "registry.unreadable"),
        ({"store": b"nothing of the kind"}, "manifest.unreadable"),
        ({"store": b""}, "manifest.unreadable"),
        ({"store": _in_claim}, "claimSignature.mismatch"),
        ({"store": _in_model}, "assertion.hashedURI.mismatch"),
    ],
)
def test_what_a_registry_kept_is_believed_only_if_it_holds(
    signed_chain: SignedChain, stripped: Path, kept: Recovered, changes: dict[str, Any], code: str
) -> None:
    applied: dict[str, Any] = {
        name: value(kept.store) if callable(value) else value for name, value in changes.items()
    }
    found = dataclasses.replace(kept, **applied)
    verdict = verify_file(stripped, signed_chain.signer.trust, recover=lambda _path: found)
    assert verdict.outcome is NO_MANIFEST
    assert code in {failure.code for failure in verdict.failures}


def test_a_recovered_store_of_a_stranger_is_not_believed(
    signed_chain: SignedChain, stripped: Path, kept: Recovered, tmp_path: Path
) -> None:
    stranger = make_signer(tmp_path / "keys").trust
    for trust in (stranger, TrustAnchors(stranger.pem, "swapped", signed_chain.signer.trust.pem)):
        verdict = verify_file(stripped, trust, recover=lambda _path: kept)
        assert verdict.outcome is NO_MANIFEST
        assert "signingCredential.untrusted" in {failure.code for failure in verdict.failures}


def test_what_is_no_film_is_not_put_down_to_the_registry(signed_chain: SignedChain, stripped: Path) -> None:
    def fail(path: Path) -> Recovered | None:
        raise MediaError(f"{path.name}: is no film", code="media.unreadable")

    verdict = verify_file(stripped, signed_chain.signer.trust, recover=fail)
    assert [failure.code for failure in verdict.failures] == ["manifest.missing"]
    assert any("is no film" in remark for remark in verdict.remarks)
