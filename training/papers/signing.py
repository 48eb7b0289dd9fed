"""Signing a finished model for those who verify by OpenSSF's tools, with a key of the project's choice."""

from __future__ import annotations

from pathlib import Path

from db.canonical import sha256_hex
from db.errors import ConfigError
from db.events import record_event
from db.files import write_durably
from db.project import Project
from db.records import ModelRecord
from training.copying.copying_test import find_model
from training.errors import CheckpointError
from training.licensed_run import WEIGHTS_NAME, model_folder
from training.papers.model_signature import KEY_NAME, SIGNATURE_NAME, check_folder, public_pem, sign_folder


def sign_model(project: Project, name: str, key_path: Path, passphrase: str | None) -> Path:
    """Sign a model's folder, check the signature, and return its path; the public key is kept with the project's.

    Raises `ConfigError` for an unknown model, a key that cannot be used or is not the one that signed before,
    `CheckpointError` if the weights are not those on record, `UndecidedError` if the library is not installed.
    """
    model = find_model(project, name)
    folder, known = model_folder(project, model.name), project.keys / KEY_NAME
    _check_weights(model, folder / WEIGHTS_NAME)
    public = public_pem(key_path, passphrase)
    if known.exists() and known.read_bytes() != public:
        raise ConfigError(
            f"{key_path}: the project's models are signed with another key, whose public half is {known}",
            hint="remove that file to sign with a new one from now on; older signatures then no longer verify",
        )
    sign_folder(folder, key_path, passphrase)
    write_durably(known, public)
    check_folder(folder, known)
    path = folder / SIGNATURE_NAME
    with project.session() as session:
        payload = {"signature_sha256": sha256_hex(path.read_bytes()), "key_sha256": sha256_hex(public)}
        record_event(session, "model.openssf_signed", model.urn, payload)
    return path


def _check_weights(model: ModelRecord, path: Path) -> None:
    try:
        found = sha256_hex(path.read_bytes())
    except OSError as exc:
        raise CheckpointError(f"weights {path} cannot be read: {exc.strerror}") from exc
    if found != model.weights_sha256:
        raise CheckpointError(f"weights {path}: sha256 {found[:12]}, expected {model.weights_sha256[:12]}")
