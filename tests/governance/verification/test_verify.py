"""What verification answers for intact and for damaged files: the tamper table."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governance.credentials import engine as content_credentials
from governance.credentials.engine import Ingredient, read_store, sign_embedded, sign_sidecar
from governance.credentials.store import ManifestStore
from governance.manifests import manifest as m
from governance.trust.anchors import load_trust_anchors
from governance.verification.companions import document_root
from governance.verification.verdict import Verdict, VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.mp4_surgery import (
    box,
    flip,
    manifest_span,
    rename_box,
    shift_chunk_offsets,
    span_of,
    strip_manifest,
    top_boxes,
)
from tests.governance.signed_chain import (
    EXPIRES_AT,
    TRAINED_AT,
    VERSION,
    SignedChain,
    Signer,
    make_signed_chain,
    make_signer,
    model_ingredient,
    model_statement,
    sign_clip,
    sign_model,
    sign_snapshot,
    snapshot_document,
    snapshot_ingredient,
    snapshot_statement,
    write_clip,
)

PASS, FAIL, UNTRUSTED = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.UNTRUSTED
NO_MANIFEST, UNREADABLE = VerdictOutcome.NO_MANIFEST, VerdictOutcome.UNREADABLE


def _codes(verdict: Verdict) -> set[str]:
    return {failure.code for failure in verdict.failures}


def _verify_bytes(chain: SignedChain, folder: Path, data: bytes) -> Verdict:
    path = folder / "clip.mp4"
    path.write_bytes(data)
    return verify_file(path, chain.signer.trust)


def _state(chain: SignedChain, path: Path) -> str:
    return read_store(path, chain.signer.trust, media_type="video/mp4").state


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signer who checks nothing of what he signs."""
    monkeypatch.setattr(content_credentials, "check_container", lambda _path: None)
    monkeypatch.setattr(ManifestStore, "require_sound", lambda _store, _subject: None)


# Intact.


def test_a_clip_leads_to_its_licences(signed_chain: SignedChain) -> None:
    verdict = verify_file(signed_chain.clip, signed_chain.signer.trust)
    assert verdict.outcome is PASS
    assert verdict.kind == "clip"
    assert verdict.failures == ()
    assert verdict.chain is not None
    assert verdict.chain.model == signed_chain.model_statement
    assert verdict.chain.snapshot == snapshot_statement(snapshot_document())
    shares = {share.license_expression: share.num_clips for share in verdict.chain.snapshot.licenses}
    assert shares == {"CC-BY-4.0": 2, "CC0-1.0": 1}
    assert len(verdict.chain.signers) == 3


def test_weights_and_snapshot_documents_verify_with_their_sidecars(signed_chain: SignedChain) -> None:
    for path, kind in ((signed_chain.weights, "model"), (signed_chain.snapshot, "snapshot")):
        verdict = verify_file(path, signed_chain.signer.trust)
        assert (verdict.outcome, verdict.kind) == (PASS, kind)
        assert verdict.chain is not None
        assert verdict.chain.clip is None


def test_what_was_not_checked_is_said(signed_chain: SignedChain) -> None:
    alone = " ".join(verify_file(signed_chain.clip, signed_chain.signer.trust).not_checked)
    for subject in ("--weights", "--snapshot", "recalled", "revoked", "time stamp"):
        assert subject in alone
    with_both = verify_file(
        signed_chain.clip,
        signed_chain.signer.trust,
        weights=signed_chain.weights,
        snapshot_document=signed_chain.snapshot,
    )
    assert with_both.outcome is PASS
    assert "--weights" not in " ".join(with_both.not_checked)


def test_development_keys_are_pointed_out(signed_chain: SignedChain) -> None:
    assert any(
        "development keys" in remark
        for remark in verify_file(signed_chain.clip, signed_chain.signer.trust).remarks
    )


def test_a_licence_that_ran_out_since_is_a_remark(signed_chain: SignedChain) -> None:
    later = EXPIRES_AT + dt.timedelta(days=1)
    verdict = verify_file(signed_chain.clip, signed_chain.signer.trust, as_of=later)
    assert verdict.outcome is PASS
    assert any("expired on 2027-06-01" in remark for remark in verdict.remarks)


def test_a_verdict_is_json(signed_chain: SignedChain) -> None:
    values = verify_file(signed_chain.clip, signed_chain.signer.trust).as_json()
    assert json.loads(json.dumps(values)) == values
    assert values["outcome"] == "pass"
    assert values["chain"]["snapshot"]["sealed_at"] == "2026-11-01T12:00:00Z"


def test_names_with_odd_characters_are_no_obstacle(signed_chain: SignedChain, tmp_path: Path) -> None:
    path = tmp_path / "a b'\"\n\u202e kl\u00e4p.mp4"
    shutil.copy(signed_chain.clip, path)
    verdict = verify_file(path, signed_chain.signer.trust)
    assert verdict.outcome is PASS
    assert "\n" not in verdict.path
    assert "\u202e" not in verdict.path


# The clip was changed after signing.


def _flip_in_media(data: bytes) -> bytes:
    return flip(data, span_of(data, "mdat")[1] - 5)


def _flip_in_signature(data: bytes) -> bytes:
    start, end = manifest_span(data)
    return flip(data, data.rindex(b"\xf6\x58\x40", start, end) + 20)


def _flip_in_claim(data: bytes) -> bytes:
    """In the claim, where the title is text of 17 characters under the key `dc:title`."""
    return flip(data, data.index(b"dc:title\x71harbour kite") + 12)


def _flip_in_assertion(data: bytes) -> bytes:
    return flip(data, data.index(b"urn:cleartitle:clip") + 16)


def _flip_in_nested_snapshot(data: bytes) -> bytes:
    return flip(data, data.index(b"commercial-training"))


TAMPERING: dict[str, tuple[Callable[[bytes], bytes], VerdictOutcome, str]] = {
    "one bit in the media": (_flip_in_media, FAIL, "assertion.bmffHash.mismatch"),
    "signature": (_flip_in_signature, FAIL, "claimSignature.mismatch"),
    "claim": (_flip_in_claim, FAIL, "claimSignature.mismatch"),
    "assertion": (_flip_in_assertion, FAIL, "assertion.hashedURI.mismatch"),
    "nested dataset manifest": (_flip_in_nested_snapshot, FAIL, "assertion.hashedURI.mismatch"),
    "stripped": (strip_manifest, NO_MANIFEST, "manifest.missing"),
    "manifest renamed": (lambda data: rename_box(data, "uuid", "free"), NO_MANIFEST, "manifest.missing"),
    "truncated": (lambda data: data[:-1000], FAIL, "container.rejected"),
    "truncated at half": (lambda data: data[: len(data) // 2], FAIL, "container.rejected"),
    "junk at the end": (lambda data: data + b"junk that is no box", FAIL, "container.rejected"),
    "foreign box at the end": (lambda data: data + box("abcd", b"1"), FAIL, "assertion.bmffHash.mismatch"),
    "mdat at the end": (lambda data: data + box("mdat", b"1"), FAIL, "assertion.bmffHash.mismatch"),
    "data in free at the end": (lambda data: data + box("free", b"1"), FAIL, "container.rejected"),
    "data in skip at the end": (lambda data: data + box("skip", b"1"), FAIL, "container.rejected"),
    "zeros in free at the end": (lambda data: data + box("free", bytes(9)), PASS, ""),
    "manifest twice": (
        lambda data: data + data[manifest_span(data)[0] : manifest_span(data)[1]],
        FAIL,
        "manifest.unreadable",
    ),
    "empty": (lambda _data: b"", UNREADABLE, "file.unreadable"),
    "no video at all": (lambda _data: b"GIF89a and so on", UNREADABLE, "file.unreadable"),
    "box header only": (lambda data: data[:8], NO_MANIFEST, "manifest.missing"),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_noticed(signed_chain: SignedChain, tmp_path: Path, name: str) -> None:
    tamper, outcome, code = TAMPERING[name]
    verdict = _verify_bytes(signed_chain, tmp_path, tamper(signed_chain.clip.read_bytes()))
    assert verdict.outcome is outcome
    assert {code} <= _codes(verdict) if code else not verdict.failures
    assert (verdict.chain is None) == (outcome is not PASS)


def test_stripping_gives_the_file_from_before_signing(signed_chain: SignedChain) -> None:
    assert strip_manifest(signed_chain.clip.read_bytes()) == signed_chain.unsigned_clip.read_bytes()


def test_the_manifest_of_another_clip_does_not_fit(signed_chain: SignedChain, tmp_path: Path) -> None:
    other, signed = tmp_path / "other.mp4", tmp_path / "signed.mp4"
    write_clip(other, shade=20)
    sign_clip(
        other, signed, signed_chain.clip_statement, signed_chain.signer, model=signed_chain.model_ingredient
    )
    ours, theirs = signed_chain.clip.read_bytes(), signed.read_bytes()
    (start, end), (their_start, their_end) = manifest_span(ours), manifest_span(theirs)
    assert end - start == their_end - their_start
    verdict = _verify_bytes(signed_chain, tmp_path, ours[:start] + theirs[their_start:their_end] + ours[end:])
    assert verdict.outcome is FAIL
    assert "assertion.bmffHash.mismatch" in _codes(verdict)


def test_a_sidecar_beside_another_file_does_not_fit(signed_chain: SignedChain, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"other weights")
    shutil.copy(sidecar_of(signed_chain.weights), sidecar_of(path))
    verdict = verify_file(path, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert "assertion.dataHash.mismatch" in _codes(verdict)


@pytest.mark.usefixtures("careless")
def test_samples_in_a_box_that_is_not_hashed(signed_chain: SignedChain, tmp_path: Path) -> None:
    """The library reports Trusted for a film whose every sample was replaced after signing."""
    source, signed = tmp_path / "source.mp4", tmp_path / "signed.mp4"
    data = signed_chain.unsigned_clip.read_bytes()
    spare = next(start for kind, start, _end in top_boxes(data) if kind == "free")
    assert data[spare : spare + 8] == box("free", b"")
    source.write_bytes(rename_box(data[:spare] + box("wide", b"") + data[spare + 8 :], "mdat", "free"))
    sign_clip(
        source, signed, signed_chain.clip_statement, signed_chain.signer, model=signed_chain.model_ingredient
    )
    start, end = span_of(signed.read_bytes(), "free")
    replaced = signed.read_bytes()
    replaced = replaced[: start + 8] + bytes(end - start - 8) + replaced[end:]
    signed.write_bytes(replaced)
    assert _state(signed_chain, signed) == "Trusted"
    verdict = verify_file(signed, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert "outside every 'mdat'" in verdict.failures[0].reason


def test_a_box_slipped_into_the_middle_is_noticed(signed_chain: SignedChain, tmp_path: Path) -> None:
    data = signed_chain.clip.read_bytes()
    start, _end = span_of(data, "mdat")
    slipped = shift_chunk_offsets(data[:start] + box("free", bytes(8)) + data[start:], 16)
    verdict = _verify_bytes(signed_chain, tmp_path, slipped)
    assert verdict.outcome is FAIL
    assert "assertion.bmffHash.mismatch" in _codes(verdict)


# Signers.


def test_a_signer_under_another_root_with_our_names_does_not_pass(
    signed_chain: SignedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a clip reads Valid, and its certificate shows the very same names."""
    project = verify_file(signed_chain.clip, signed_chain.signer.trust).credentials
    assert project is not None
    number = project.signer.split(",")[0].split()[-1]
    monkeypatch.setattr(secrets, "token_hex", lambda _size: number)
    forged = make_signed_chain(tmp_path)
    verdict = verify_file(forged.clip, signed_chain.signer.trust)
    assert verdict.credentials is not None
    assert verdict.credentials.signer == project.signer
    assert verdict.credentials.state == "Valid"
    assert verdict.outcome is UNTRUSTED
    assert _codes(verdict) == {"signingCredential.untrusted"}
    assert verdict.chain is None


def test_a_changed_file_of_a_stranger_fails(signed_chain: SignedChain, tmp_path: Path) -> None:
    stranger = make_signer(tmp_path / "keys")
    path = tmp_path / "clip.mp4"
    path.write_bytes(_flip_in_media(signed_chain.clip.read_bytes()))
    assert verify_file(path, stranger.trust).outcome is FAIL


def _both(ours: Signer, theirs: Signer, folder: Path) -> Signer:
    """Our identity, under anchors that also hold another root."""
    anchors = folder / "both.pem"
    anchors.write_bytes(ours.trust.pem + theirs.trust.pem)
    return Signer(ours.identity, load_trust_anchors([anchors]))


def _foreign_model(folder: Path) -> tuple[Path, Signer, Ingredient]:
    """Signed weights of somebody else, and the ingredient that his own check makes of them."""
    theirs = make_signed_chain(folder)
    return theirs.weights, theirs.signer, theirs.model_ingredient


def test_an_ingredient_of_an_unknown_signer_does_not_pass(signed_chain: SignedChain, tmp_path: Path) -> None:
    """Our signer trusted him when signing; we do not, now."""
    _weights, theirs, ingredient = _foreign_model(tmp_path / "theirs")
    signed = tmp_path / "clip.mp4"
    signer = _both(signed_chain.signer, theirs, tmp_path)
    sign_clip(signed_chain.unsigned_clip, signed, signed_chain.clip_statement, signer, model=ingredient)
    assert verify_file(signed, signer.trust).outcome is PASS
    verdict = verify_file(signed, signed_chain.signer.trust)
    assert verdict.outcome is not PASS
    assert "signingCredential.untrusted" in _codes(verdict)


@pytest.mark.usefixtures("careless")
def test_an_ingredient_that_was_unknown_at_signing_fails(signed_chain: SignedChain, tmp_path: Path) -> None:
    """The clip reads Trusted: the failure stands only beside the ingredient."""
    weights, _theirs, _ingredient = _foreign_model(tmp_path / "theirs")
    signed = tmp_path / "clip.mp4"
    ingredient = model_ingredient(weights, signed_chain.model_statement, signed_chain.signer)
    sign_clip(
        signed_chain.unsigned_clip,
        signed,
        signed_chain.clip_statement,
        signed_chain.signer,
        model=ingredient,
    )
    assert _state(signed_chain, signed) == "Trusted"
    verdict = verify_file(signed, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert "signingCredential.untrusted" in _codes(verdict)


@pytest.mark.usefixtures("careless")
def test_an_ingredient_that_was_changed_before_signing_fails(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    """The clip reads Trusted: the failure stands only beside the ingredient."""
    weights, signed = tmp_path / "weights.safetensors", tmp_path / "clip.mp4"
    weights.write_bytes(flip(signed_chain.weights.read_bytes(), 10))
    shutil.copy(sidecar_of(signed_chain.weights), sidecar_of(weights))
    ingredient = model_ingredient(weights, signed_chain.model_statement, signed_chain.signer)
    sign_clip(
        signed_chain.unsigned_clip, signed, signed_chain.clip_statement, signed_chain.signer, model=ingredient
    )
    assert _state(signed_chain, signed) == "Trusted"
    verdict = verify_file(signed, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert "assertion.dataHash.mismatch" in _codes(verdict)


# The links contradict each other, although every signature holds.


def _resigned_clip(chain: SignedChain, folder: Path, **changes: Any) -> Path:
    statement = replace(chain.clip_statement, **changes)
    sign_clip(chain.unsigned_clip, folder / "clip.mp4", statement, chain.signer, model=chain.model_ingredient)
    return folder / "clip.mp4"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_urn": "urn:cleartitle:model:other"}, "names model urn:cleartitle:model:other"),
        ({"snapshot_root": "ef" * 32}, "names snapshot root ef"),
        ({"snapshot_urn": "urn:cleartitle:snapshot:other"}, "names snapshot urn:cleartitle:snapshot:other"),
        ({"generated_at": TRAINED_AT - dt.timedelta(days=1)}, "before its model was trained"),
    ],
)
def test_a_clip_that_contradicts_its_model_fails(
    signed_chain: SignedChain, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    verdict = verify_file(_resigned_clip(signed_chain, tmp_path, **changes), signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {"chain.broken"}
    assert reason in verdict.failures[0].reason


@pytest.mark.parametrize(
    ("model_changes", "snapshot_changes", "reason"),
    [
        ({"snapshot_root": "ef" * 32}, {}, "the model names snapshot root ef"),
        ({"trained_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, {}, "before its snapshot was sealed"),
        ({}, {"expires_at": TRAINED_AT}, "after its snapshot had expired"),
    ],
)
def test_a_model_that_contradicts_its_snapshot_fails(
    signed_chain: SignedChain,
    tmp_path: Path,
    model_changes: dict[str, Any],
    snapshot_changes: dict[str, Any],
    reason: str,
) -> None:
    document, weights = tmp_path / "snapshot.json", tmp_path / "w.safetensors"
    document.write_bytes(snapshot_document())
    weights.write_bytes(b"weights")
    root = document_root(snapshot_document())[0]
    sign_snapshot(document, snapshot_statement(snapshot_document(), **snapshot_changes), signed_chain.signer)
    snapshot = snapshot_ingredient(document, signed_chain.signer)
    sign_model(
        weights,
        replace(model_statement(b"weights", root), **model_changes),
        signed_chain.signer,
        snapshot=snapshot,
    )
    verdict = verify_file(weights, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert reason in verdict.failures[0].reason


def _sign_weights(chain: SignedChain, folder: Path, manifest: dict[str, Any]) -> Verdict:
    weights = folder / "w.safetensors"
    weights.write_bytes(chain.weights.read_bytes())
    sign_sidecar(
        manifest,
        weights,
        sidecar_of(weights),
        media_type=m.MODEL_MEDIA_TYPE,
        identity=chain.signer.identity,
        trust=chain.signer.trust,
        ingredients=[snapshot_ingredient(chain.snapshot, chain.signer)],
    )
    return verify_file(weights, chain.signer.trust)


def test_a_wrong_source_type_fails(signed_chain: SignedChain, tmp_path: Path) -> None:
    manifest = m.model_manifest(signed_chain.model_statement, generator_version=VERSION)
    manifest["assertions"][0]["data"]["actions"][0]["digitalSourceType"] = m.CLIP_SOURCE_TYPE
    verdict = _sign_weights(signed_chain, tmp_path, manifest)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {"disclosure.source_type"}


def test_a_clip_without_ai_disclosure_fails(signed_chain: SignedChain, tmp_path: Path) -> None:
    manifest = m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION)
    manifest["assertions"] = [
        entry for entry in manifest["assertions"] if entry["label"] != m.DISCLOSURE_LABEL
    ]
    signed = tmp_path / "clip.mp4"
    sign_embedded(
        manifest,
        signed_chain.unsigned_clip,
        signed,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=signed_chain.signer.identity,
        trust=signed_chain.signer.trust,
        ingredients=[signed_chain.model_ingredient],
    )
    verdict = verify_file(signed, signed_chain.signer.trust)
    assert _codes(verdict) == {"disclosure.missing"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("numSteps", "many"),
        ("numSteps", True),
        ("trainedAt", "yesterday"),
        ("trainedAt", "2026-11-02T12:00:00"),
        ("weightsSha256", "abc"),
        ("snapshotRoot", None),
        ("name", ["a"]),
    ],
)
def test_malformed_statements_fail(
    signed_chain: SignedChain, tmp_path: Path, field: str, value: object
) -> None:
    manifest = m.model_manifest(signed_chain.model_statement, generator_version=VERSION)
    manifest["assertions"][1]["data"][field] = value
    verdict = _sign_weights(signed_chain, tmp_path, manifest)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {"chain.broken"}


def test_a_statement_made_twice_fails(signed_chain: SignedChain, tmp_path: Path) -> None:
    manifest = m.model_manifest(signed_chain.model_statement, generator_version=VERSION)
    manifest["assertions"].append(manifest["assertions"][1])
    verdict = _sign_weights(signed_chain, tmp_path, manifest)
    assert verdict.outcome is FAIL


def test_hostile_names_are_made_harmless(signed_chain: SignedChain, tmp_path: Path) -> None:
    manifest = m.model_manifest(signed_chain.model_statement, generator_version=VERSION)
    manifest["title"] = "\x1b[31mred\u202e"
    manifest["assertions"][1]["data"]["name"] = "\x1b]0;owned\x07"
    manifest["assertions"][1]["data"]["weightsSha256"] = "\x1b[2J"
    verdict = _sign_weights(signed_chain, tmp_path, manifest)
    text = str(verdict)
    assert verdict.outcome is FAIL
    assert "\x1b" not in text
    assert "\u202e" not in text


# Files given beside the clip.


def test_other_weights_than_stated_fail(signed_chain: SignedChain, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    verdict = verify_file(signed_chain.clip, signed_chain.signer.trust, weights=other)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {"weights.digest_mismatch"}
    assert verdict.chain is not None


def _without_last_leaf(document: dict[str, Any]) -> None:
    document["leaves"].pop()


def _with_another_leaf(document: dict[str, Any]) -> None:
    document["leaves"][0]["clipId"] = "0" * 15 + "9"


def _with_another_name(document: dict[str, Any]) -> None:
    document["name"] = "autumn"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_without_last_leaf, "snapshot.root_mismatch"),
        (_with_another_leaf, "snapshot.root_mismatch"),
        (_with_another_name, "snapshot.digest_mismatch"),
    ],
)
def test_another_snapshot_document_than_signed_fails(
    signed_chain: SignedChain, tmp_path: Path, change: Callable[[dict[str, Any]], None], code: str
) -> None:
    document = json.loads(snapshot_document())
    change(document)
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps(document))
    verdict = verify_file(signed_chain.clip, signed_chain.signer.trust, snapshot_document=path)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {code}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"leaves": []}', b'{"leaves": [NaN]}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_snapshot_document_fails(
    signed_chain: SignedChain, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "snapshot.json"
    path.write_bytes(content)
    verdict = verify_file(signed_chain.clip, signed_chain.signer.trust, snapshot_document=path)
    assert _codes(verdict) == {"snapshot.unreadable"}


def test_the_order_of_leaves_in_the_document_does_not_matter() -> None:
    document = json.loads(snapshot_document())
    turned = {**document, "leaves": document["leaves"][::-1]}
    assert document_root(json.dumps(turned).encode()) == document_root(snapshot_document())


# Files that are not ours.


def test_data_without_a_sidecar_has_no_manifest(signed_chain: SignedChain, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    shutil.copy(signed_chain.weights, path)
    assert verify_file(path, signed_chain.signer.trust).outcome is NO_MANIFEST


def test_a_missing_file_is_unreadable(signed_chain: SignedChain, tmp_path: Path) -> None:
    assert verify_file(tmp_path / "gone.mp4", signed_chain.signer.trust).outcome is UNREADABLE
    assert verify_file(tmp_path, signed_chain.signer.trust).outcome is UNREADABLE


def test_a_trusted_file_of_others_is_described_but_does_not_pass(shared_c2pa: Path) -> None:
    trust = load_trust_anchors([shared_c2pa / "files" / "test_cert_root_bundle.pem"])
    verdict = verify_file(shared_c2pa / "files" / "public_adobe-20220124-CA.jpg", trust)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {"chain.missing"}
    assert verdict.kind is None
    assert verdict.credentials is not None
    assert verdict.credentials.state == "Trusted"
    assert "C2PA Signer" in verdict.credentials.signer


def test_published_files_never_pass(shared_c2pa: Path, signed_chain: SignedChain) -> None:
    expected = {
        "c2pars_c.mov": NO_MANIFEST,
        "c2pars_video1_no_manifest.mp4": NO_MANIFEST,
        "c2pars_hist_b8565359_100kb-signed.mp4": FAIL,
        "derived_video1_mdat_byteflip.mp4": FAIL,
        "derived_video1_truncated.mp4": FAIL,
        "public_adobe-20220124-CA.jpg": UNTRUSTED,
        "public_adobe-20220124-CICA.jpg": UNTRUSTED,
        "public_adobe-20220124-E-dat-CA.jpg": FAIL,
        "public_adobe-20220124-E-sig-CA.jpg": FAIL,
        "public_adobe-20220124-XCA.jpg": FAIL,
        "store.cfg": UNREADABLE,
    }
    for name, outcome in expected.items():
        assert verify_file(shared_c2pa / "files" / name, signed_chain.signer.trust).outcome is outcome, name
    for path in (shared_c2pa / "files").glob("*.mp4"):
        assert verify_file(path, signed_chain.signer.trust).outcome is not PASS


def test_a_clip_in_two_parts_is_not_read_past_its_end(signed_chain: SignedChain, tmp_path: Path) -> None:
    data = signed_chain.clip.read_bytes()
    start, _end = manifest_span(data)
    grown = data[:start] + struct.pack(">I", 1 << 30) + data[start + 4 :]
    assert _verify_bytes(signed_chain, tmp_path, grown).outcome is FAIL
