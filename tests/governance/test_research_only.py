"""Research only, from the policy through sealing, training and generating to what `verify` answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from db import artefacts, models, queries
from db.canonical import canonical_json, sha256_hex
from db.clock import utc_now
from db.errors import RefusedError
from db.project import Project
from db.signals import add_reading
from governance.credentials.store import ManifestStore
from governance.decisions.clearance import clear_library, present_comparison
from governance.errors import VerificationError
from governance.manifests import manifest as m
from governance.manifests.chain import read_chain
from governance.manifests.statements import ClipStatement, ModelStatement, SnapshotStatement
from governance.policy.files import find_policy
from governance.policy.overlays import read_policy_text
from governance.snapshots.document import states_promotable
from governance.snapshots.sealing import Sealed, seal_snapshot
from governance.snapshots.snapshot import open_snapshot, verified_document
from governance.snapshots.taint import require_promotable_ancestry
from governance.trust.anchors import load_trust_anchors
from governance.verification.verdict import RESEARCH_ONLY, VerdictOutcome
from governance.verification.verify import verify_file
from ingest.signals.protocols import protocol_list
from tests.governance.signed_chain import (
    Signer,
    clip_statement,
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
from tests.library import make_library

PASS, FAIL = VerdictOutcome.PASS, VerdictOutcome.FAIL


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Files that were read for signals, decided for research and for commercial use."""
    project = make_library(tmp_path_factory.mktemp("library"))
    comparison = present_comparison(project)
    with project.session() as session:
        for evidence in queries.library_evidence(session, comparison.encoder, comparison.detector):
            add_reading(session, evidence.asset.id, protocols_version=protocol_list().version, num_signals=0)
    return project


def seal(project: Project, name: str, policy_name: str) -> Sealed:
    policy, comparison = find_policy(policy_name), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    return seal_snapshot(project, name, policy, comparison)


def test_a_research_snapshot_says_so_and_a_commercial_one_says_nothing(library: Project) -> None:
    research = seal(library, "research", "research-only")
    commercial = seal(library, "commercial", "commercial-training")
    said = json.loads(research.document_path.read_bytes())
    silent = json.loads(commercial.document_path.read_bytes())
    assert said["promotable"] is False
    assert "promotable" not in silent
    assert (research.record.is_promotable, commercial.record.is_promotable) == (False, True)
    assert not open_snapshot(library, "research", now=utc_now()).is_promotable
    trust = load_trust_anchors(library.trust_anchors)
    verdict = verify_file(research.document_path, trust)
    assert verdict.outcome is PASS
    assert RESEARCH_ONLY in verdict.remarks
    assert verdict.for_commercial().outcome is FAIL
    assert verify_file(commercial.document_path, trust).for_commercial().outcome is PASS


def test_the_merkle_root_does_not_depend_on_it(library: Project) -> None:
    sealed = seal(library, "root", "research-only")
    document = json.loads(sealed.document_path.read_bytes())
    assert "promotable" not in document["leaves"][0]


def test_a_combined_policy_seals_verifies_and_is_read_back(library: Project) -> None:
    sealed = seal(library, "combined", "research-only+editorial-exclusion")
    document = verified_document(library, sealed.record)
    assert document["policy"]["name"] == "research-only+editorial-exclusion"
    policy = read_policy_text(document["policy"]["text"], "snapshot")
    assert policy.digest == document["policy"]["digest"] == sealed.record.policy_digest
    assert policy == replace(
        find_policy("research-only+editorial-exclusion"), source=policy.source, parts=policy.parts
    )
    assert not states_promotable(document)


def test_the_release_gate_reads_the_documents_and_not_the_database(library: Project) -> None:
    seal(library, "gate", "research-only")
    with library.session() as session:
        session.execute(
            update(models.Snapshot).where(models.Snapshot.name == "gate").values(is_promotable=None)
        )
        outputs = artefacts.library_outputs(session)
    assert outputs == {}
    with pytest.raises(RefusedError, match="for research only"):
        require_promotable_ancestry(library, "gate", outputs)


def test_a_record_that_calls_research_promotable_was_altered(library: Project) -> None:
    seal(library, "altered", "research-only")
    with library.session() as session:
        session.execute(
            update(models.Snapshot).where(models.Snapshot.name == "altered").values(is_promotable=True)
        )
    with pytest.raises(RefusedError, match="record was altered"):
        open_snapshot(library, "altered", now=utc_now())


def test_generated_footage_brings_its_ancestry_along(library: Project) -> None:
    seal(library, "parent", "research-only")
    comparison = present_comparison(library)
    with library.session() as session:
        (first, second, *_) = queries.library_evidence(session, comparison.encoder, comparison.detector)
        snapshot = artefacts.find_snapshot(session, "parent")
        assert snapshot is not None
        artefacts.ensure_run(
            session, run_id="run", snapshot_id=snapshot.id, permit={}, config={}, config_digest="c" * 64
        )
        artefacts.add_model(
            session,
            run_id="run",
            columns={
                "name": "model",
                "urn": "urn:m",
                "weights_sha256": "e" * 64,
                "num_parameters": 1,
                "num_steps": 1,
            },
        )
        model = artefacts.find_model(session, "model")
        assert model is not None
        artefacts.add_output(
            session,
            model_id=model.id,
            columns={
                "urn": "urn:o",
                "sha256": first.asset.sha256,
                "prompt_sha256": "f" * 64,
                "seed": 0,
                "path": "/o.mp4",
            },
        )
        assert artefacts.library_outputs(session) == {first.asset.sha256: "parent"}
        made, filmed, *_ = queries.library_evidence(session, comparison.encoder, comparison.detector)
        assert (made.is_own_output, made.has_research_ancestor) == (True, True)
        assert (filmed.is_own_output, filmed.has_research_ancestor) == (False, False)
        assert filmed.asset.id == second.asset.id
        session.execute(
            update(models.Snapshot).where(models.Snapshot.name == "parent").values(is_promotable=True)
        )
        made, *_ = queries.library_evidence(session, comparison.encoder, comparison.detector)
        assert (made.is_own_output, made.has_research_ancestor) == (True, False)
        session.execute(update(models.Run).values(config={"base": "ltx", "base_digest": "b" * 64}))
        made, *_ = queries.library_evidence(session, comparison.encoder, comparison.detector)
        assert (made.is_own_output, made.has_research_ancestor) == (True, True), "an adapter drew it"
        session.rollback()


def sign_everything(
    folder: Path,
    *,
    snapshot: SnapshotStatement,
    model: ModelStatement,
    clip: ClipStatement,
    signer: Signer,
) -> Path:
    document, weights = folder / "snapshot.json", folder / "weights.safetensors"
    document.write_bytes(snapshot_document())
    weights.write_bytes(b"weights")
    write_clip(folder / "unsigned.mp4")
    sign_snapshot(document, snapshot, signer)
    sign_model(weights, model, signer, snapshot=snapshot_ingredient(document, signer))
    sign_clip(
        folder / "unsigned.mp4",
        folder / "clip.mp4",
        clip,
        signer,
        model=model_ingredient(weights, model, signer),
    )
    return folder / "clip.mp4"


@pytest.mark.parametrize("silent", ["nobody", "clip", "clip and model", "all but the purpose"])
def test_a_link_that_leaves_it_out_cannot_launder_it(silent: str, tmp_path: Path) -> None:
    signer = make_signer(tmp_path / "keys")
    about = snapshot_statement(
        snapshot_document(),
        is_promotable=silent == "all but the purpose",
        purpose="research" if silent == "all but the purpose" else "commercial",
    )
    path = sign_everything(
        tmp_path,
        snapshot=about,
        model=model_statement(b"weights", about.merkle_root, is_promotable=silent not in {"nobody", "clip"}),
        clip=clip_statement(about.merkle_root, is_promotable=silent != "nobody"),
        signer=signer,
    )
    verdict = verify_file(path, signer.trust)
    assert verdict.outcome is PASS, verdict.failures
    assert RESEARCH_ONLY in verdict.remarks
    released = verdict.for_commercial()
    assert released.outcome is FAIL
    assert [failure.code for failure in released.failures] == ["release.research_only"]


@pytest.mark.parametrize("value", [True, "false", 0, None])
def test_only_false_is_ever_written(value: object) -> None:
    about = snapshot_statement(snapshot_document())
    manifest = m.snapshot_manifest(about, generator_version="0")
    for assertion in manifest["assertions"]:
        if assertion["label"] == m.SNAPSHOT_LABEL:
            assertion["data"]["promotable"] = value
    store = ManifestStore("Trusted", "a", {"a": manifest}, {})
    with pytest.raises(VerificationError, match="promotable must be false"):
        read_chain(store)


def test_old_credentials_are_byte_for_byte_what_they_were() -> None:
    about = snapshot_statement(snapshot_document())
    facts = m.snapshot_manifest(about, generator_version="0")["assertions"][1]["data"]
    assert "promotable" not in facts
    said = m.snapshot_manifest(replace(about, is_promotable=False), generator_version="0")
    assert sha256_hex(canonical_json(facts)) == sha256_hex(
        canonical_json(
            {key: value for key, value in said["assertions"][1]["data"].items() if key != "promotable"}
        )
    )
