"""Published clips on record, with the snapshot, run and model that each must have."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db import artefacts
from db.clock import utc_now
from tests.db.records_maker import digest


def add_model(session: Session, name: str = "model") -> int:
    """Record a snapshot, a run on it and the run's model; return the model's key."""
    now = utc_now()
    columns = {
        "name": f"snapshot-{name}",
        "merkle_root": digest(name),
        "policy_name": "commercial-training",
        "policy_digest": digest("policy"),
        "document_sha256": digest(name),
        "num_clips": 1,
        "num_assets": 1,
        "duration_seconds": 5.0,
        "expires_at": None,
        "sealed_at": now,
    }
    artefacts.add_snapshot(session, columns)
    session.flush()
    snapshot = artefacts.find_snapshot(session, f"snapshot-{name}")
    assert snapshot is not None
    artefacts.ensure_run(
        session,
        run_id=f"run-{name}",
        snapshot_id=snapshot.id,
        permit={},
        config={},
        config_digest=digest("config"),
    )
    session.flush()
    facts = {"name": name, "urn": f"urn:model:{name}", "weights_sha256": digest(name)}
    artefacts.add_model(session, run_id=f"run-{name}", columns=facts | {"num_parameters": 1, "num_steps": 1})
    session.flush()
    model = artefacts.find_model(session, name)
    assert model is not None
    return model.id


def add_output(session: Session, model_id: int, urn: str, *, sha256: str | None = None) -> int:
    """Record a clip of that model; return its key."""
    columns = {
        "urn": urn,
        "sha256": sha256 or digest(urn),
        "prompt_sha256": digest("prompt"),
        "seed": 0,
        "path": f"/{urn}.mp4",
    }
    return artefacts.add_output(session, model_id=model_id, columns=columns)
