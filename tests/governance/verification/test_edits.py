"""Clips of ours that somebody edited or published again after us."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.credentials.engine import read_store, sign_edited
from governance.credentials.jumbf import ASSERTION_STORE_LABEL
from governance.credentials.store import ManifestStore
from governance.manifests import manifest as m
from governance.signing.editing import publish_signed, redact
from governance.trust.anchors import TrustAnchors
from governance.verification.origin import find_origin
from governance.verification.redactions import read_redactions
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.governance.mp4_surgery import flip
from tests.governance.signed_chain import SignedChain, Signer, make_signer

PASS, FAIL, UNTRUSTED = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.UNTRUSTED


@pytest.fixture
def editor(signed_chain: SignedChain, tmp_path: Path) -> Signer:
    """Somebody else, whom we trust, and who trusts us."""
    theirs = make_signer(tmp_path / "editor")
    return Signer(
        theirs.identity, TrustAnchors(signed_chain.signer.trust.pem + theirs.trust.pem, "ours and theirs")
    )


def _edit(source: Path, destination: Path, editor: Signer, *, action: str = "c2pa.published") -> Path:
    """Sign an edit as any other program would."""
    actions = {"actions": [{"action": action, "when": "2026-11-20T09:00:00Z"}], "allActionsIncluded": True}
    manifest = {
        "title": "again",
        "claim_generator_info": [{"name": "another program", "version": "1", "specVersion": m.SPEC_VERSION}],
        "assertions": [{"label": m.ACTIONS_LABEL, "created": True, "data": actions}],
    }
    sign_edited(
        manifest,
        source,
        destination,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=editor.identity,
        trust=editor.trust,
    )
    return destination


def test_what_our_own_publishing_and_redaction_write_is_told(
    signed_chain: SignedChain, editor: Signer, tmp_path: Path
) -> None:
    published, redacted = tmp_path / "published.mp4", tmp_path / "redacted.mp4"
    publish_signed(signed_chain.clip, published, identity=editor.identity, trust=editor.trust)
    redact(published, redacted, ["cawg.metadata"], identity=editor.identity, trust=editor.trust)
    verdict = verify_file(redacted, editor.trust)
    assert (verdict.outcome, verdict.kind) == (PASS, "clip")
    assert verdict.chain is not None
    assert [edit.actions for edit in verdict.chain.edits] == [("c2pa.redacted",), ("c2pa.published",)]
    assert all(edit.keeps_content for edit in verdict.chain.edits)


def test_what_was_redacted_is_told_by_name(signed_chain: SignedChain, editor: Signer, tmp_path: Path) -> None:
    """A verdict used to say no more than that something had been redacted."""
    once, twice = tmp_path / "once.mp4", tmp_path / "twice.mp4"
    who = {"identity": editor.identity, "trust": editor.trust}
    redact(signed_chain.clip, once, ["cawg.metadata"], reason="trade-secret", **who)  # type: ignore[arg-type]
    ours = read_store(signed_chain.clip, editor.trust, media_type=m.CLIP_MEDIA_TYPE).active_label
    verdict = verify_file(once, editor.trust)
    (redaction,) = verdict.redactions
    assert (redaction.assertion, redaction.manifest) == ("cawg.metadata", ours)
    assert redaction.place is not None
    assert redaction.place.endswith("depth 1")
    assert redaction.reason == "c2pa.trade-secret.present"
    assert f"redacted by {redaction.signer}: cawg.metadata, of the ingredient " in "".join(verdict.remarks)
    publish_signed(once, twice, **who)  # type: ignore[arg-type]
    (said,) = verify_file(twice, editor.trust).as_json()["redactions"]
    assert (said["assertion"], said["manifest"], said["place"][-7:]) == ("cawg.metadata", ours, "depth 2")
    assert verify_file(signed_chain.clip, editor.trust).redactions == ()


@pytest.mark.parametrize(
    ("address", "assertion", "manifest", "told"),
    [
        (f"self#jumbf=/c2pa/urn:x/{ASSERTION_STORE_LABEL}/a.b", "a.b", "urn:x", "a.b, of manifest urn:x;"),
        ("self#jumbf=a.b", "self#jumbf=a.b", None, "self#jumbf=a.b, of manifest unnamed;"),
        ("\x1b[31m", "\\x1b[31m", None, "of manifest unnamed;"),
    ],
)
def test_addresses_of_all_kinds_are_told(
    address: str, assertion: str, manifest: str | None, told: str
) -> None:
    actions = {
        "label": "c2pa.actions.v2",
        "data": {"actions": [7, {"action": "c2pa.redacted", "parameters": None}]},
    }
    older = {"label": "c2pa.actions", "data": {"actions": 7}}
    active = {"redactions": [address], "assertions": [{"label": "x", "data": None}, actions, older]}
    store = ManifestStore("Trusted", "urn:active", {"urn:active": active}, {})
    (redaction,) = read_redactions(store)
    assert (redaction.assertion, redaction.manifest, redaction.place) == (assertion, manifest, None)
    assert (redaction.signer, redaction.reason) == ("unnamed signer", None)
    assert told in redaction.text


def test_a_clip_that_was_published_again_leads_to_the_same_licences(
    signed_chain: SignedChain, editor: Signer, tmp_path: Path
) -> None:
    again = _edit(signed_chain.clip, tmp_path / "again.mp4", editor)
    verdict = verify_file(again, editor.trust, weights=signed_chain.weights)
    assert (verdict.outcome, verdict.kind) == (PASS, "clip")
    before = verify_file(signed_chain.clip, editor.trust)
    assert verdict.chain is not None
    assert before.chain is not None
    assert verdict.chain.snapshot == before.chain.snapshot
    assert verdict.chain.clip == before.chain.clip
    (edit,) = verdict.chain.edits
    assert edit.actions == ("c2pa.published",)
    assert edit.when == "2026-11-20T09:00:00Z"
    assert edit.keeps_content
    assert any("changed after us by cleartitle development" in remark for remark in verdict.remarks)
    assert before.chain.edits == ()


def test_every_step_is_told_the_latest_first(
    signed_chain: SignedChain, editor: Signer, tmp_path: Path
) -> None:
    cut = _edit(signed_chain.clip, tmp_path / "cut.mp4", editor, action="c2pa.edited")
    again = _edit(cut, tmp_path / "again.mp4", editor)
    verdict = verify_file(again, editor.trust)
    assert verdict.outcome is PASS
    assert verdict.chain is not None
    assert [edit.actions for edit in verdict.chain.edits] == [("c2pa.published",), ("c2pa.edited",)]
    told = [remark for remark in verdict.remarks if "changed after us" in remark]
    assert ["may not be those that were generated" in remark for remark in told] == [False, True]


def test_an_editor_whom_nobody_knows_is_no_link(
    signed_chain: SignedChain, editor: Signer, tmp_path: Path
) -> None:
    again = _edit(signed_chain.clip, tmp_path / "again.mp4", editor)
    verdict = verify_file(again, signed_chain.signer.trust)
    assert verdict.outcome is UNTRUSTED
    assert [failure.depth for failure in verdict.failures] == [0]


def test_our_manifest_below_an_edit_is_checked_all_the_same(
    signed_chain: SignedChain, editor: Signer, tmp_path: Path
) -> None:
    again = _edit(signed_chain.clip, tmp_path / "again.mp4", editor)
    again.write_bytes(flip(again.read_bytes(), again.read_bytes().index(b"rectified-flow DiT")))
    verdict = verify_file(again, editor.trust)
    assert verdict.outcome is FAIL
    assert any(failure.depth == 2 and "model" in failure.reason for failure in verdict.failures)


def test_a_clip_of_ours_without_edits_is_its_own_origin(signed_chain: SignedChain) -> None:
    origin = find_origin(read_store(signed_chain.clip, signed_chain.signer.trust, media_type="video/mp4"))
    assert origin is not None
    assert (origin.kind, origin.edits) == ("clip", ())
