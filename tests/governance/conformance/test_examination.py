"""Files of every kind held against the rubrics: our own, and public ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from governance.conformance.examination import examine
from governance.conformance.reading import NO_ANCHORS, read_crjson
from governance.errors import NoManifest, VerificationError
from governance.trust.anchors import load_trust_anchors
from governance.verification.kinds import sidecar_of
from tests.governance.mp4_surgery import flip
from tests.governance.signed_chain import SignedChain

EVERYTHING = ("conformance", "integrity", "signals")

PUBLIC_COUNTS = {
    "c2pars_hist_4da59ce0_video1.mp4": (23, 6),
    "c2pars_hist_b8565359_100kb-signed.mp4": (21, 5),
    "c2pars_legacy.mp4": (23, 5),
    "c2pars_video1.mp4": (24, 6),
    "derived_video1_mdat_byteflip.mp4": (23, 5),
    "derived_video1_truncated.mp4": (23, 5),
    "public_adobe-20220124-CA.jpg": (20, 6),
    "public_adobe-20220124-CICA.jpg": (21, 6),
    "public_adobe-20220124-E-dat-CA.jpg": (19, 5),
    "public_adobe-20220124-E-sig-CA.jpg": (20, 5),
    "public_adobe-20220124-XCA.jpg": (19, 5),
}
"""Statements of the conformance and the integrity rubric that hold, as the published formulas decide them too."""


def _held(path: Path, *names: str, trust: Path | None = None) -> list[int]:
    anchors = NO_ANCHORS if trust is None else load_trust_anchors([trust])
    return [report.num_held for report in examine(path, anchors, names).reports]


def test_a_clip_and_its_sidecars_hold_every_statement(signed_chain: SignedChain) -> None:
    for path in (signed_chain.clip, signed_chain.weights, signed_chain.snapshot):
        examination = examine(path, signed_chain.signer.trust, EVERYTHING)
        assert [report.num_held for report in examination.reports] == [31, 6]
        assert not examination.has_failed


def test_only_what_was_asked_for_is_examined(signed_chain: SignedChain) -> None:
    examination = examine(signed_chain.clip, signed_chain.signer.trust, ("signals",))
    assert examination.reports == ()
    assert [len(found.signals) for found in examination.signals] == [1, 0, 0]


def test_without_anchors_nobody_is_trusted_and_all_else_is_decided(signed_chain: SignedChain) -> None:
    conformance, integrity = examine(signed_chain.clip, NO_ANCHORS, EVERYTHING).reports
    assert conformance.num_held == 31
    assert [finding.why for finding in integrity.findings if not finding.holds] == [
        "signingCredential.untrusted"
    ]


def test_a_flipped_byte_is_a_mismatch(signed_chain: SignedChain, tmp_path: Path) -> None:
    data = signed_chain.clip.read_bytes()
    flipped = tmp_path / "flipped.mp4"
    flipped.write_bytes(flip(data, data.index(b"mdat") + 100))
    report = examine(flipped, signed_chain.signer.trust, ("conformance",)).reports[0]
    assert [finding.statement.id for finding in report.findings if not finding.holds] == [
        "validation:valid_success"
    ]


def test_credentials_beside_a_file_are_read_if_there_are_none_inside(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(signed_chain.unsigned_clip, clip)
    shutil.copy(sidecar_of(signed_chain.weights), sidecar_of(clip))
    report = examine(clip, signed_chain.signer.trust, ("conformance",)).reports[0]
    assert report.has_failed  # they are there, and speak for another file


@pytest.mark.parametrize("content", [b"", b"nothing that could carry a manifest"])
def test_a_file_without_credentials_is_no_answer(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(NoManifest, match="no Content Credentials"):
        examine(path, NO_ANCHORS, EVERYTHING)


def test_an_unsigned_clip_is_no_answer(signed_chain: SignedChain) -> None:
    with pytest.raises(NoManifest):
        examine(signed_chain.unsigned_clip, NO_ANCHORS, EVERYTHING)


@pytest.mark.parametrize("store", [b"", b"no store at all, but long enough to be tried"])
def test_a_sidecar_that_is_none_fails(signed_chain: SignedChain, tmp_path: Path, store: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    shutil.copy(signed_chain.weights, path)
    sidecar_of(path).write_bytes(store)
    with pytest.raises(VerificationError):
        examine(path, NO_ANCHORS, EVERYTHING)


@pytest.mark.parametrize("name", PUBLIC_COUNTS)
def test_public_files_hold_what_the_published_formulas_say(shared_c2pa: Path, name: str) -> None:
    anchors = shared_c2pa / "files" / "test_cert_root_bundle.pem"
    held = _held(shared_c2pa / "files" / name, "conformance", "integrity", trust=anchors)
    assert tuple(held) == PUBLIC_COUNTS[name]


def test_crjson_is_read_for_every_manifest(signed_chain: SignedChain) -> None:
    store = read_crjson(signed_chain.clip, NO_ANCHORS, media_type="video/mp4")
    assert len(store["manifests"]) == 3
