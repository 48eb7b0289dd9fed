"""The tamper table: what was done to a file, and what must be answered.

`test_verify.py` has the cases that every verifier must notice; here are those that the library leaves open, and
links that break deep in the chain. Each verdict names the link.
"""

from __future__ import annotations

import dataclasses
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.credentials import engine
from governance.credentials.engine import (
    Ingredient,
    ingredient_from_sidecar,
    read_store,
    sign_embedded,
    sign_sidecar,
)
from governance.credentials.store import ManifestStore
from governance.manifests import manifest as m
from governance.trust.anchors import load_trust_anchors
from governance.verification.companions import document_root
from governance.verification.verdict import Verdict, VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.mp4_surgery import C2PA_UUID, box, flip, manifest_span, shift_chunk_offsets, span_of
from tests.governance.signed_chain import (
    VERSION,
    SignedChain,
    Signer,
    make_signer,
    model_ingredient,
    model_statement,
    sign_clip,
    sign_model,
    snapshot_document,
    snapshot_ingredient,
    snapshot_statement,
)

PASS, FAIL, UNTRUSTED = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.UNTRUSTED
NO_MANIFEST = VerdictOutcome.NO_MANIFEST
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _codes(verdict: Verdict) -> set[str]:
    return {failure.code for failure in verdict.failures}


def _verify_bytes(chain: SignedChain, folder: Path, data: bytes) -> Verdict:
    path = folder / "clip.mp4"
    path.write_bytes(data)
    return verify_file(path, chain.signer.trust)


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signer who checks nothing of what he signs."""
    monkeypatch.setattr(engine, "check_container", lambda _path: None)
    monkeypatch.setattr(ManifestStore, "require_sound", lambda _store, _subject: None)


# One file, changed after signing.


def _in_store(data: bytes, needle: bytes, offset: int = 0) -> int:
    start, end = manifest_span(data)
    return data.rindex(needle, start, end) + offset


def _retag_purpose(data: bytes) -> bytes:
    start, _end = manifest_span(data)
    return data[: start + 28] + b"manifesX" + data[start + 36 :]


def _brand(data: bytes) -> bytes:
    return flip(data, span_of(data, "ftyp")[0] + 8 + 3)


def _padding(data: bytes) -> bytes:
    return flip(data, _in_store(data, b"cpad", 8))


def _purpose_version(data: bytes) -> bytes:
    return flip(data, manifest_span(data)[0] + 24)


CHANGES: dict[str, tuple[Callable[[bytes], bytes], VerdictOutcome, str]] = {
    "sample table in moov": (
        lambda data: flip(data, data.index(b"stts") + 15),
        FAIL,
        "assertion.bmffHash.mismatch",
    ),
    "encoder tag": (lambda data: flip(data, data.index(b"Lavf")), FAIL, "assertion.bmffHash.mismatch"),
    # The standard leaves `ftyp` out of the digest, and what it can hold is a list of brands: no picture, no sound.
    "brand in ftyp": (_brand, PASS, ""),
    # Padding is unsigned and of no use to anybody but somebody who wants to hide something: it must be zeros.
    "padding of the signature": (_padding, FAIL, "manifest.unreadable"),
    "name in the certificate": (
        lambda data: flip(data, _in_store(data, b"NOT FOR PRODUCTION")),
        FAIL,
        "claimSignature.mismatch",
    ),
    "specification version in the claim": (
        lambda data: flip(data, _in_store(data, b"specVersione2.4.0", 12)),
        FAIL,
        "claimSignature.mismatch",
    ),
    "digital source type": (
        lambda data: flip(data, _in_store(data, b"trainedAlgorithmicMedia")),
        FAIL,
        "assertion.hashedURI.mismatch",
    ),
    "purpose of the manifest box": (_retag_purpose, FAIL, "manifest.unreadable"),
    "cut inside the manifest box": (
        lambda data: data[: manifest_span(data)[1] - 500],
        FAIL,
        "container.rejected",
    ),
    "another uuid box at the end": (
        lambda data: data + box("uuid", bytes(16) + b"x"),
        FAIL,
        "assertion.bmffHash.mismatch",
    ),
    "XMP at the end": (
        lambda data: data + box("uuid", XMP_UUID + b"<x/>"),
        FAIL,
        "assertion.bmffHash.mismatch",
    ),
    "a film in free at the end": (lambda data: data + box("free", data), FAIL, "container.rejected"),
    "a film in skip at the end": (lambda data: data + box("skip", data), FAIL, "container.rejected"),
    "an empty manifest box besides": (
        lambda data: data + box("uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + box("jumb", b"")),
        FAIL,
        "manifest.unreadable",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_after_signing(signed_chain: SignedChain, tmp_path: Path, name: str) -> None:
    change, outcome, code = CHANGES[name]
    verdict = _verify_bytes(signed_chain, tmp_path, change(signed_chain.clip.read_bytes()))
    assert verdict.outcome is outcome, verdict.failures
    assert {code} <= _codes(verdict) if code else not verdict.failures


def test_the_version_of_the_manifest_box_changes_nothing_that_is_believed(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    """Version and flags of the box are in front of the store and outside every digest; nobody reads them."""
    data = _purpose_version(signed_chain.clip.read_bytes())
    assert _verify_bytes(signed_chain, tmp_path, data).outcome in {PASS, FAIL}


def test_a_film_that_was_wrapped_or_encoded_anew_has_no_manifest(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    import av

    for encoder in (None, "libx264"):
        path = tmp_path / f"{encoder}.mp4"
        with av.open(str(signed_chain.clip)) as source, av.open(str(path), "w") as target:
            stream = source.streams.video[0]
            if encoder is None:
                copy = target.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is not None:
                        packet.stream = copy
                        target.mux(packet)
                continue
            anew = target.add_stream(encoder, rate=12)
            anew.width, anew.height, anew.pix_fmt = stream.width, stream.height, "yuv420p"
            for frame in source.decode(stream):
                target.mux(anew.encode(frame))
            target.mux(anew.encode(None))
        assert verify_file(path, signed_chain.signer.trust).outcome is NO_MANIFEST


def test_the_store_of_one_clip_beside_another_does_not_fit(signed_chain: SignedChain, tmp_path: Path) -> None:
    other, sidecar = tmp_path / "other.mp4", tmp_path / "other.mp4.c2pa"
    data = signed_chain.unsigned_clip.read_bytes()
    other.write_bytes(flip(data, span_of(data, "mdat")[1] - 5))
    sidecar.write_bytes(
        read_store(signed_chain.clip, signed_chain.signer.trust, media_type="video/mp4").jumbf
    )
    verdict = verify_file(other, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert "assertion.bmffHash.mismatch" in _codes(verdict)


# Chains of four manifests that break at a depth of 1, 2 or 3.


@dataclasses.dataclass(frozen=True)
class _Link:
    """One signed file with the ingredients that it takes up."""

    path: Path
    manifest: dict[str, Any]
    media_type: str


def _sign(link: _Link, signer: Signer, ingredients: list[Ingredient]) -> None:
    sign_sidecar(
        link.manifest,
        link.path,
        sidecar_of(link.path),
        media_type=link.media_type,
        identity=signer.identity,
        trust=signer.trust,
        ingredients=ingredients,
    )


def _footage_ingredient(path: Path, signer: Signer) -> Ingredient:
    return ingredient_from_sidecar(
        path,
        sidecar_of(path),
        title="footage",
        label="footage",
        data_types=[{"type": "c2pa.types.dataset"}],
        media_type=m.MODEL_MEDIA_TYPE,
        trust=signer.trust,
    )


def _footage_manifest() -> dict[str, Any]:
    action = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    data = {"actions": [action], "allActionsIncluded": True}
    generator = {"name": "test", "version": "1", "specVersion": "2.4.0"}
    return {
        "title": "footage",
        "claim_generator_info": [generator],
        "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": data}],
    }


def _change(path: Path) -> None:
    path.write_bytes(flip(path.read_bytes(), 3))


def _deep_chain(chain: SignedChain, folder: Path, *, depth: int, stranger: Signer | None) -> Path:
    """Clip > model > snapshot > footage; that at `depth` is the stranger's, or was changed before it was taken up."""
    document, weights = snapshot_document(), chain.weights.read_bytes()
    footage, snapshot = folder / "footage.bin", folder / "snapshot.json"
    model, clip = folder / "w.safetensors", folder / "clip.mp4"
    footage.write_bytes(b"footage")
    snapshot.write_bytes(document)
    model.write_bytes(weights)
    about_model = model_statement(weights, document_root(document)[0])

    def signer_at(level: int) -> Signer:
        if stranger is None or level != depth:
            return chain.signer
        return Signer(stranger.identity, stranger.trust)

    def finish(path: Path, level: int) -> None:
        if stranger is None and level == depth:
            _change(path)

    _sign(_Link(footage, _footage_manifest(), m.MODEL_MEDIA_TYPE), signer_at(3), [])
    finish(footage, 3)
    about_snapshot = m.snapshot_manifest(snapshot_statement(document), generator_version=VERSION)
    taken_up = [_footage_ingredient(footage, chain.signer)]
    _sign(_Link(snapshot, about_snapshot, m.SNAPSHOT_MEDIA_TYPE), signer_at(2), taken_up)
    finish(snapshot, 2)
    sign_model(model, about_model, signer_at(1), snapshot=snapshot_ingredient(snapshot, chain.signer))
    finish(model, 1)
    ingredient = model_ingredient(model, about_model, chain.signer)
    sign_clip(chain.unsigned_clip, clip, chain.clip_statement, chain.signer, model=ingredient)
    return clip


_NAMES = {1: "model 'tiny'", 2: "snapshot 'tiny' > 'spring'", 3: "ingredient 'tiny' > 'spring' > 'footage'"}


def test_a_chain_of_four_that_holds_passes(signed_chain: SignedChain, tmp_path: Path) -> None:
    clip = _deep_chain(signed_chain, tmp_path, depth=0, stranger=None)
    assert verify_file(clip, signed_chain.signer.trust).outcome is PASS


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_that_was_changed_before_it_was_taken_up(
    signed_chain: SignedChain, tmp_path: Path, depth: int
) -> None:
    """The library calls such a clip Trusted."""
    clip = _deep_chain(signed_chain, tmp_path, depth=depth, stranger=None)
    assert read_store(clip, signed_chain.signer.trust, media_type="video/mp4").state == "Trusted"
    verdict = verify_file(clip, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert {(failure.code, failure.depth) for failure in verdict.failures} == {
        ("assertion.dataHash.mismatch", depth)
    }
    assert f"({_NAMES[depth]} at depth {depth}, recorded when it was taken up" in verdict.failures[0].reason


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_that_nobody_knew_when_it_was_taken_up(
    signed_chain: SignedChain, tmp_path: Path, depth: int
) -> None:
    """The library calls such a clip Trusted: the failure was written down beside the ingredient, and left there."""
    clip = _deep_chain(signed_chain, tmp_path, depth=depth, stranger=make_signer(tmp_path / "keys"))
    assert read_store(clip, signed_chain.signer.trust, media_type="video/mp4").state == "Trusted"
    verdict = verify_file(clip, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert {(failure.code, failure.depth) for failure in verdict.failures} == {
        ("signingCredential.untrusted", depth)
    }
    assert _NAMES[depth] in verdict.failures[0].reason


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_whose_signer_was_known_then_and_is_not_now(
    signed_chain: SignedChain, tmp_path: Path, depth: int
) -> None:
    stranger = make_signer(tmp_path / "keys")
    both = tmp_path / "both.pem"
    both.write_bytes(signed_chain.signer.trust.pem + stranger.trust.pem)
    trust = load_trust_anchors([both])
    liberal = dataclasses.replace(signed_chain, signer=Signer(signed_chain.signer.identity, trust))
    clip = _deep_chain(liberal, tmp_path, depth=depth, stranger=Signer(stranger.identity, trust))
    assert verify_file(clip, trust).outcome is PASS
    verdict = verify_file(clip, signed_chain.signer.trust)
    assert verdict.outcome is UNTRUSTED
    assert {(failure.code, failure.depth) for failure in verdict.failures} == {
        ("signingCredential.untrusted", depth)
    }
    assert _NAMES[depth] in verdict.failures[0].reason


@pytest.mark.parametrize(
    ("needle", "depth"),
    [
        (b"rectified-flow DiT", 1),
        (b"commercial-training", 2),
        (b"http://c2pa.org/digitalsourcetype/empty", 3),
    ],
)
def test_one_flipped_byte_in_a_manifest_below(
    signed_chain: SignedChain, tmp_path: Path, needle: bytes, depth: int
) -> None:
    clip = _deep_chain(signed_chain, tmp_path, depth=0, stranger=None)
    clip.write_bytes(flip(clip.read_bytes(), clip.read_bytes().index(needle)))
    verdict = verify_file(clip, signed_chain.signer.trust)
    assert verdict.outcome is FAIL
    assert "assertion.hashedURI.mismatch" in _codes(verdict)
    named = [failure for failure in verdict.failures if failure.depth == depth]
    assert named
    assert all(_NAMES[depth] in failure.reason for failure in named)


@pytest.mark.usefixtures("careless")
def test_an_ingredient_that_nobody_checked_is_no_ingredient(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    ingredient = signed_chain.model_ingredient
    results: dict[str, Any] = {"activeManifest": {"success": [], "informational": [], "failure": []}}
    silent = dataclasses.replace(
        ingredient, definition={**ingredient.definition, "validation_results": results}
    )
    clip = tmp_path / "clip.mp4"
    sign_clip(
        signed_chain.unsigned_clip, clip, signed_chain.clip_statement, signed_chain.signer, model=silent
    )
    # What nobody recorded is found now: an empty list of results hides nothing.
    assert verify_file(clip, signed_chain.signer.trust).outcome is PASS
    shutil.copy(clip, tmp_path / "copy.mp4")
    data = clip.read_bytes()
    clip.write_bytes(flip(data, data.index(b"rectified-flow DiT")))
    assert verify_file(clip, signed_chain.signer.trust).outcome is FAIL


# A binding that leaves something out.


def test_a_picture_whose_signer_left_room_to_write_in_fails(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    """The library mentions further exclusions and calls the file Trusted."""
    signer = signed_chain.signer
    source, signed = tmp_path / "source.jpg", tmp_path / "signed.jpg"
    source.write_bytes(_jpeg())
    sign_embedded(
        _footage_manifest(),
        source,
        signed,
        media_type="image/jpeg",
        identity=signer.identity,
        trust=signer.trust,
    )
    store = read_store(signed, signer.trust, media_type="image/jpeg")
    results = {**store.validation_results}
    entry = {
        "code": "assertion.dataHash.additionalExclusionsPresent",
        "url": "",
        "explanation": "more left out",
    }
    results["activeManifest"] = {**results["activeManifest"], "informational": [entry]}
    open_store = dataclasses.replace(store, validation_results=results)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("governance.verification.verify.read_store", lambda *_args, **_options: open_store)
        assert _codes(verify_file(signed, signer.trust)) == {entry["code"]}


def _jpeg() -> bytes:
    import io

    import numpy as np
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 90, dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


# Files that others have published.


def test_published_files_with_the_anchors_of_their_makers(shared_c2pa: Path) -> None:
    """Intact files of others lead to no snapshot of ours; changed ones fail for that reason alone."""
    trust = load_trust_anchors([shared_c2pa / "files" / "test_cert_root_bundle.pem"])
    expected = {
        # Its `free` box carries data. Whether an old binding covers that is not asked.
        "c2pars_hist_4da59ce0_video1.mp4": "container.rejected",
        "c2pars_video1.mp4": "container.rejected",
        "public_adobe-20220124-CA.jpg": "chain.missing",
        "public_adobe-20220124-CICA.jpg": "chain.missing",
        "public_adobe-20220124-E-dat-CA.jpg": "assertion.dataHash.mismatch",
        "public_adobe-20220124-E-sig-CA.jpg": "claimSignature.mismatch",
        "public_adobe-20220124-XCA.jpg": "assertion.dataHash.mismatch",
        "c2pars_hist_b8565359_100kb-signed.mp4": "assertion.bmffHash.mismatch",
        "derived_video1_mdat_byteflip.mp4": "container.rejected",
        "derived_video1_truncated.mp4": "container.rejected",
    }
    for name, code in expected.items():
        verdict = verify_file(shared_c2pa / "files" / name, trust)
        assert verdict.outcome is FAIL, name
        assert code in _codes(verdict), (name, verdict.failures)


# The box around the manifest store, which no signature covers.


def test_a_store_that_claims_more_than_its_box_holds(signed_chain: SignedChain, tmp_path: Path) -> None:
    """The library takes what is there and calls the file Trusted."""
    data = signed_chain.clip.read_bytes()
    position = data.index(b"jumb", manifest_span(data)[0]) - 4
    grown = data[:position] + struct.pack(">I", 1 << 30) + data[position + 4 :]
    assert _codes(_verify_bytes(signed_chain, tmp_path, grown)) == {"container.rejected"}


@pytest.mark.parametrize(
    ("extra", "code"), [(bytes(64), "assertion.bmffHash.mismatch"), (b"secret" * 8, "container.rejected")]
)
def test_what_follows_the_store_in_its_box_must_be_zeros(
    signed_chain: SignedChain, tmp_path: Path, extra: bytes, code: str
) -> None:
    """Zeros are harmless in themselves; here they move the film, and the table of where it lies is hashed."""
    data = signed_chain.clip.read_bytes()
    start, end = manifest_span(data)
    longer = struct.pack(">I", end - start + len(extra)) + data[start + 4 : end] + extra
    moved = shift_chunk_offsets(data[:start] + longer + data[end:], len(extra))
    assert _codes(_verify_bytes(signed_chain, tmp_path, moved)) == {code}
