"""The OpenSSF signature: it covers the whole folder, and one that does not verify is never passed over."""

from __future__ import annotations

import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from db.errors import AnsweredNo, AnsweredUndecided, ConfigError, UndecidedError
from db.project import Project, open_project
from tests.library import make_library
from tests.media import flip_byte
from tests.training.trained_library import seal, train
from training.errors import CheckpointError
from training.licensed_run import model_folder
from training.papers.model_signature import KEY_NAME, SIGNATURE_NAME
from training.proof.commands import training


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model, which is not signed yet, and keys beside it."""
    root = tmp_path_factory.mktemp("openssf")
    project = make_library(root)
    seal(project)
    train(project)
    for name, curve in (
        ("EC.pem", ec.SECP256R1()),
        ("other.pem", ec.SECP256R1()),
        ("k1.pem", ec.SECP256K1()),
    ):
        write_key(root / name, ec.generate_private_key(curve))
    write_key(root / "ed.pem", ed25519.Ed25519PrivateKey.generate())
    return root


def write_key(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Project:
    return open_project(shutil.copytree(root / "project", tmp_path / "project"))


@pytest.fixture
def library() -> None:
    """Skip where the OpenSSF library cannot be imported."""
    pytest.importorskip("OpenSSL", reason="model-signing 1.1.1 imports pyOpenSSL without asking for it")
    pytest.importorskip("model_signing")


def call(project: Project, *arguments: str | Path) -> Result:
    return CliRunner().invoke(training, [*map(str, arguments), "--project", str(project.root)])


def signature_finding(project: Project) -> dict[str, Any]:
    rows = [json.loads(line) for line in call(project, "verify", "model", "--json").stdout.splitlines()]
    [found] = [row for row in rows if row.get("code") == "model.signature"]
    return dict(found)


@pytest.mark.usefixtures("library")
def test_a_signed_model_verifies_here_and_by_the_library_alone(project: Project, root: Path) -> None:
    openssf: Any = pytest.importorskip("model_signing")
    answer = call(project, "sign-model", "model", "--key", root / "EC.pem", "--json")
    assert answer.exception is None
    folder = model_folder(project, "model")
    assert json.loads(answer.stdout)["signature"] == str(folder / SIGNATURE_NAME)
    verified = call(project, "verify", "model", "--json")
    assert verified.exception is None, verified.stdout
    assert signature_finding(project)["standing"] == "holds"
    by_key = openssf.verifying.Config().use_elliptic_key_verifier(public_key=project.keys / KEY_NAME)
    by_key.verify(folder, folder / SIGNATURE_NAME)
    assert call(project, "sign-model", "model", "--key", root / "EC.pem").exception is None, "again, the same"


def _add(folder: Path) -> None:
    (folder / "extra.py").write_text("print('run me')", encoding="utf-8")


def _lose(folder: Path) -> None:
    (folder / "samples.png").unlink()


def _change(folder: Path) -> None:
    flip_byte(folder / "model-card.md", 10)


def _cut(folder: Path) -> None:
    (folder / SIGNATURE_NAME).write_bytes(b"{}")


def _forge(folder: Path) -> None:
    text = (folder / SIGNATURE_NAME).read_text(encoding="utf-8")
    bundle = json.loads(text)
    [signature] = bundle["dsseEnvelope"]["signatures"]
    signature["sig"] = (
        signature["sig"][:20] + ("A" if signature["sig"][20] != "A" else "B") + signature["sig"][21:]
    )
    (folder / SIGNATURE_NAME).write_text(json.dumps(bundle), encoding="utf-8")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("damage", [_add, _lose, _change, _cut, _forge])
def test_a_signature_that_does_not_verify_is_a_failure(
    project: Project, root: Path, damage: Callable[[Path], None]
) -> None:
    assert call(project, "sign-model", "model", "--key", root / "EC.pem").exception is None
    damage(model_folder(project, "model"))
    found = signature_finding(project)
    assert (found["level"], found["standing"]) == ("L0", "fails"), found
    assert isinstance(call(project, "verify", "model").exception, AnsweredNo)


@pytest.mark.usefixtures("library")
def test_another_key_is_refused_and_does_not_verify(project: Project, root: Path) -> None:
    assert call(project, "sign-model", "model", "--key", root / "EC.pem").exception is None
    other = call(project, "sign-model", "model", "--key", root / "other.pem").exception
    assert isinstance(other, ConfigError)
    assert "signed with another key" in str(other)
    (project.keys / KEY_NAME).unlink()
    assert signature_finding(project)["standing"] == "not checked"
    assert isinstance(call(project, "verify", "model").exception, AnsweredUndecided)


@pytest.mark.usefixtures("library")
def test_what_cannot_be_signed_or_sign_is_refused(project: Project, root: Path) -> None:
    for name in ("ed.pem", "k1.pem"):
        error = call(project, "sign-model", "model", "--key", root / name).exception
        assert isinstance(error, ConfigError)
        assert "elliptic-curve" in str(error)
    assert isinstance(call(project, "sign-model", "model", "--key", root / "none.pem").exception, ConfigError)
    assert isinstance(call(project, "sign-model", "nobody", "--key", root / "EC.pem").exception, ConfigError)
    flip_byte(model_folder(project, "model") / "model.safetensors", -5)
    changed = call(project, "sign-model", "model", "--key", root / "EC.pem").exception
    assert isinstance(changed, CheckpointError)
    assert not (model_folder(project, "model") / SIGNATURE_NAME).exists()


def test_without_the_library_nothing_is_signed_and_a_signature_is_not_passed_over(
    project: Project, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *arguments: Any, **others: Any) -> Any:
        if name == "model_signing":
            raise ImportError("No module named 'model_signing'")
        return whole(name, *arguments, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    error = call(project, "sign-model", "model", "--key", root / "EC.pem").exception
    assert isinstance(error, UndecidedError)
    assert "openssf" in str(error.hint)
    folder = model_folder(project, "model")
    assert not (folder / SIGNATURE_NAME).exists()
    (folder / SIGNATURE_NAME).write_bytes(b"{}")
    shutil.copyfile(project.keys / "permit.pub.pem", project.keys / KEY_NAME)
    assert signature_finding(project)["standing"] == "not checked"
