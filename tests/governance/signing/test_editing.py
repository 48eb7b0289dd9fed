from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from db.database import migrate
from db.errors import ConfigError, Error, RefusedError
from db.project import CONFIG_NAME, DEFAULT_CONFIG, open_project
from governance.conformance.examination import examine
from governance.credentials.engine import read_store, sign_edited, sign_embedded
from governance.credentials.jumbf import assertion_contents
from governance.errors import NoManifest, VerificationError
from governance.manifests import manifest as m
from governance.signing import editing, redaction
from governance.signing.commands import publish as publish_command
from governance.signing.commands import redact as redact_command
from governance.signing.editing import publish_signed, redact
from governance.signing.redaction import find_targets, require_gone
from governance.signing.signers import load_project_trust
from governance.trust.anchors import TrustAnchors
from governance.verification.records import SnapshotRecords
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.governance.mp4_surgery import flip, span_of
from tests.governance.signed_chain import VERSION, SignedChain, make_signer, snapshot_record

SECRET_TEXT = "the rights holder of clip 17 is Example Person"
NOTE, METADATA = "org.cleartitle.note", "cawg.metadata"
WHEN = dt.datetime(2026, 11, 5, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def secret_clip(signed_chain: SignedChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with two assertions that somebody will want out, one in CBOR and one in JSON."""
    manifest = m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION)
    manifest["assertions"] = [entry for entry in manifest["assertions"] if entry["label"] != METADATA]
    metadata = {"@context": {"dc": "http://purl.org/dc/elements/1.1/"}, "dc:rights": SECRET_TEXT + " in JSON"}
    manifest["assertions"] += [
        {"label": NOTE, "created": True, "data": {"text": SECRET_TEXT, "holders": [17]}},
        {"label": METADATA, "created": True, "kind": "Json", "data": metadata},
    ]
    path = tmp_path_factory.mktemp("secret") / "secret.mp4"
    sign_embedded(
        manifest,
        signed_chain.unsigned_clip,
        path,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=signed_chain.signer.identity,
        trust=signed_chain.signer.trust,
        ingredients=[signed_chain.model_ingredient],
    )
    assert path.read_bytes().count(SECRET_TEXT.encode()) == 2
    return path


def _publish(chain: SignedChain, source: Path, destination: Path) -> Any:
    return publish_signed(
        source, destination, identity=chain.signer.identity, trust=chain.signer.trust, when=WHEN
    )


def _redact(chain: SignedChain, source: Path, destination: Path, *labels: str) -> Any:
    return redact(
        source, destination, labels, identity=chain.signer.identity, trust=chain.signer.trust, when=WHEN
    )


def _failed_statements(path: Path, trust: TrustAnchors) -> list[str]:
    """Return what the file fails of the conformance rubric; all of its 31 statements must have been judged."""
    (report,) = examine(path, trust, ["conformance"]).reports
    assert len(report.findings) == 31
    return [f"{finding.statement.id}: {finding.why}" for finding in report.findings if not finding.holds]


def test_a_published_clip_passes_and_leads_to_the_same_licences(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    trust = signed_chain.signer.trust
    verdict = _publish(signed_chain, signed_chain.clip, tmp_path / "public" / "clip.mp4")
    assert verdict.outcome is VerdictOutcome.PASS
    assert verdict.path == str(tmp_path / "public" / "clip.mp4")
    assert verdict.chain.snapshot == verify_file(signed_chain.clip, trust).chain.snapshot  # type: ignore[union-attr]
    (edit,) = verdict.chain.edits
    assert edit.actions == ("c2pa.published",)
    assert edit.when == "2026-11-05T12:00:00Z"
    assert [path.name for path in (tmp_path / "public").iterdir()] == ["clip.mp4"]
    store = read_store(tmp_path / "public" / "clip.mp4", trust, media_type=m.CLIP_MEDIA_TYPE)
    assert len(store.manifests) == 4


def test_edited_clips_conform(signed_chain: SignedChain, secret_clip: Path, tmp_path: Path) -> None:
    """The library's own edits forget `allActionsIncluded`, `created` and `specVersion`."""
    trust = signed_chain.signer.trust
    _publish(signed_chain, signed_chain.clip, tmp_path / "published.mp4")
    _redact(signed_chain, secret_clip, tmp_path / "redacted.mp4", NOTE)
    assert _failed_statements(tmp_path / "published.mp4", trust) == []
    assert _failed_statements(tmp_path / "redacted.mp4", trust) == []


def test_redacted_bytes_are_gone_and_everything_else_stays(
    signed_chain: SignedChain, secret_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    verdict = _redact(signed_chain, secret_clip, out, NOTE, METADATA)
    assert verdict.outcome is VerdictOutcome.PASS
    content = out.read_bytes()
    assert SECRET_TEXT.encode() not in content
    assert content[slice(*span_of(content, "mdat"))] == _media(secret_clip)
    before = read_store(secret_clip, signed_chain.signer.trust, media_type=m.CLIP_MEDIA_TYPE)
    after = read_store(out, signed_chain.signer.trust, media_type=m.CLIP_MEDIA_TYPE)
    kept = {entry["label"] for entry in after.manifests[before.active_label]["assertions"]}
    assert {entry["label"] for entry in before.active["assertions"]} - kept == {NOTE, METADATA}
    actions = after.active["assertions"][0]["data"]["actions"]
    assert [action["action"] for action in actions] == ["c2pa.opened", "c2pa.redacted", "c2pa.redacted"]
    assert {action["reason"] for action in actions[1:]} == {"c2pa.PII.present"}
    assert {action["parameters"]["redacted"] for action in actions[1:]} == set(after.active["redactions"])


def _media(path: Path) -> bytes:
    content = path.read_bytes()
    return content[slice(*span_of(content, "mdat"))]


def test_what_was_published_can_be_redacted_and_published_again(
    signed_chain: SignedChain, secret_clip: Path, tmp_path: Path
) -> None:
    first, second, third = (tmp_path / f"{number}.mp4" for number in range(3))
    _publish(signed_chain, secret_clip, first)
    _redact(signed_chain, first, second, NOTE)  # it lies two manifests down
    verdict = _publish(signed_chain, second, third)
    assert [edit.actions for edit in verdict.chain.edits] == [
        ("c2pa.published",),
        ("c2pa.redacted",),
        ("c2pa.published",),
    ]
    assert b'"holders"' not in third.read_bytes()
    assert third.read_bytes().count(SECRET_TEXT.encode()) == 1  # the JSON, which nobody asked for
    with pytest.raises(ConfigError, match=r"has no assertion 'org\.cleartitle\.note'"):
        _redact(signed_chain, third, tmp_path / "again.mp4", NOTE)


@pytest.mark.parametrize(
    ("label", "error", "complaint"),
    [
        ("c2pa.actions.v2", RefusedError, "never redacted"),
        ("c2pa.hash.bmff.v3", RefusedError, "never redacted"),
        ("c2pa.ingredient.v3", RefusedError, "never redacted"),
        ("org.example.nothing", ConfigError, "has no assertion 'org.example.nothing'"),
        (m.DISCLOSURE_LABEL, VerificationError, r"does not verify and was removed: disclosure\.missing"),
        (m.CLIP_LABEL, VerificationError, "does not verify and was removed"),
        (m.SNAPSHOT_LABEL, VerificationError, "does not verify and was removed"),
    ],
)
def test_what_a_clip_needs_cannot_be_redacted(
    signed_chain: SignedChain, tmp_path: Path, label: str, error: type[Error], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        _redact(signed_chain, signed_chain.clip, tmp_path / "out.mp4", label)
    assert list(tmp_path.iterdir()) == []


def test_content_that_also_stands_elsewhere_is_not_gone(
    signed_chain: SignedChain, secret_clip: Path, tmp_path: Path
) -> None:
    trust = signed_chain.signer.trust
    targets = find_targets(read_store(secret_clip, trust, media_type=m.CLIP_MEDIA_TYPE), [NOTE])
    out = tmp_path / "out.mp4"
    _redact(signed_chain, secret_clip, out, NOTE)
    store = read_store(out, trust, media_type=m.CLIP_MEDIA_TYPE)
    require_gone(out, store, targets)
    out.write_bytes(out.read_bytes() + targets[0].contents[0].payload)
    with pytest.raises(VerificationError, match="still occurs in the file"):
        require_gone(out, store, targets)
    unredacted = read_store(secret_clip, trust, media_type=m.CLIP_MEDIA_TYPE)
    with pytest.raises(VerificationError, match="is still there"):
        require_gone(secret_clip, unredacted, targets)


def test_a_redaction_that_leaves_bytes_behind_writes_nothing(
    signed_chain: SignedChain, secret_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit_with_leak(manifest: Any, source: Path, destination: Path, **rest: Any) -> Any:
        store = sign_edited(manifest, source, destination, **rest)
        before = read_store(source, rest["trust"], media_type=m.CLIP_MEDIA_TYPE)
        with destination.open("ab") as file:
            file.write(find_targets(before, [NOTE])[0].contents[0].payload)
        return store

    monkeypatch.setattr(editing, "sign_edited", edit_with_leak)
    with pytest.raises(VerificationError, match="still occurs in the file"):
        _redact(signed_chain, secret_clip, tmp_path / "out.mp4", NOTE)
    assert list(tmp_path.iterdir()) == []


def test_an_assertion_s_content_is_read_from_the_store(signed_chain: SignedChain, secret_clip: Path) -> None:
    store = read_store(secret_clip, signed_chain.signer.trust, media_type=m.CLIP_MEDIA_TYPE)
    (box,) = assertion_contents(store.jumbf, store.active_label, METADATA)
    assert box.kind == b"json"
    assert json.loads(box.payload)["dc:rights"].startswith(SECRET_TEXT)
    assert box.encoded() in secret_clip.read_bytes()
    assert assertion_contents(store.jumbf, store.active_label, "org.example.nothing") == ()
    with pytest.raises(VerificationError, match="manifest store: "):
        assertion_contents(store.jumbf[:-1], store.active_label, METADATA)


@pytest.mark.parametrize("edit", [_publish, lambda *arguments: _redact(*arguments, METADATA)])
def test_nothing_doubtful_gets_a_fresh_signature(
    signed_chain: SignedChain, tmp_path: Path, edit: Callable[..., Any]
) -> None:
    """Signing a tampered clip as an edit would make it Trusted."""
    tampered, foreign = tmp_path / "tampered.mp4", tmp_path / "foreign.mp4"
    content = signed_chain.clip.read_bytes()
    tampered.write_bytes(flip(content, span_of(content, "mdat")[0] + 40))
    stranger = make_signer(tmp_path / "keys")
    unsigned = tmp_path / "unsigned.mp4"
    shutil.copy(signed_chain.unsigned_clip, unsigned)
    for source in (tampered, unsigned, signed_chain.weights):
        with pytest.raises(RefusedError):
            edit(signed_chain, source, tmp_path / "out.mp4")
    with pytest.raises(VerificationError, match=r"does not verify: signingCredential\.untrusted"):
        publish_signed(signed_chain.clip, foreign, identity=stranger.identity, trust=stranger.trust)
    assert {path.name for path in tmp_path.iterdir()} == {"tampered.mp4", "unsigned.mp4", "keys"}


def test_an_edit_needs_something_to_edit(signed_chain: SignedChain, tmp_path: Path) -> None:
    with pytest.raises(NoManifest):
        sign_edited(
            {},
            signed_chain.unsigned_clip,
            tmp_path / "out.mp4",
            media_type=m.CLIP_MEDIA_TYPE,
            identity=signed_chain.signer.identity,
            trust=signed_chain.signer.trust,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_signed_file_is_never_overwritten(signed_chain: SignedChain, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"older")
    with pytest.raises(RefusedError, match="never overwritten"):
        _publish(signed_chain, signed_chain.clip, out)
    assert out.read_bytes() == b"older"
    source = tmp_path / "clip.mp4"
    shutil.copy(signed_chain.clip, source)
    with pytest.raises(RefusedError):
        _publish(signed_chain, source, source)
    assert source.read_bytes() == signed_chain.clip.read_bytes()


@pytest.fixture
def project(signed_chain: SignedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a clip of its own in it."""
    monkeypatch.delenv("CLEARTITLE_DATABASE_URL", raising=False)
    shutil.copytree(signed_chain.clip.parent / "keys", tmp_path / "keys")
    (tmp_path / CONFIG_NAME).write_text(DEFAULT_CONFIG)
    migrate(open_project(tmp_path).database_url)
    shutil.copy(signed_chain.clip, tmp_path / "clip.mp4")
    return tmp_path


def test_the_publish_command_says_what_it_wrote(project: Path) -> None:
    arguments = [str(project / "clip.mp4"), str(project / "out.mp4"), "--project", str(project)]
    done = CliRunner().invoke(publish_command, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(done.stdout) == {
        "source": str(project / "clip.mp4"),
        "file": str(project / "out.mp4"),
        "outcome": "pass",
        "time_stamp": None,
    }
    assert "not time-stamped" in done.stderr
    assert (project / "out.mp4").exists()


def test_the_redact_command_says_what_is_gone(project: Path) -> None:
    arguments = [str(project / "clip.mp4"), str(project / "out.mp4"), "--project", str(project)]
    options = ["--assertion", METADATA, "--reason", "invalid"]
    done = CliRunner().invoke(redact_command, [*arguments, *options], catch_exceptions=False)
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["redacted"] == METADATA
    assert lines["verified"] == "pass"
    trust = load_project_trust(_open(project))
    store = read_store(project / "out.mp4", trust, media_type=m.CLIP_MEDIA_TYPE)
    assert store.active["assertions"][0]["data"]["actions"][1]["reason"] == "c2pa.invalid.data"


def test_the_reasons_on_the_command_line_are_those_that_are_known() -> None:
    (option,) = [parameter for parameter in redact_command.params if parameter.name == "reason"]
    assert list(option.type.choices) == list(redaction.REASONS)  # type: ignore[attr-defined]


def _open(folder: Path) -> Any:
    from db.project import open_project

    return open_project(folder)


def test_an_unknown_reason_is_refused(signed_chain: SignedChain, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reason is 'because'"):
        redact(
            signed_chain.clip,
            tmp_path / "out.mp4",
            [m.TRAINING_MINING_LABEL],
            identity=signed_chain.signer.identity,
            trust=signed_chain.signer.trust,
            reason="because",
        )


@pytest.mark.parametrize("label", ["org.cleartitle.replication-screen", "cawg.training-mining"])
def test_what_the_screen_found_and_what_is_reserved_stays(
    signed_chain: SignedChain, tmp_path: Path, label: str
) -> None:
    with pytest.raises(RefusedError, match="never redacted"):
        _redact(signed_chain, signed_chain.clip, tmp_path / "out.mp4", label)


def test_a_clip_of_a_recalled_snapshot_is_not_signed_again(signed_chain: SignedChain, tmp_path: Path) -> None:
    verdict = verify_file(signed_chain.clip, signed_chain.signer.trust)
    assert verdict.chain is not None
    root = verdict.chain.snapshot.merkle_root
    records = SnapshotRecords({root: snapshot_record(root, recall_reason="a rights holder withdrew")})
    with pytest.raises(VerificationError, match="a rights holder withdrew"):
        publish_signed(
            signed_chain.clip,
            tmp_path / "out.mp4",
            identity=signed_chain.signer.identity,
            trust=signed_chain.signer.trust,
            records=records,
        )
    assert list(tmp_path.iterdir()) == []
