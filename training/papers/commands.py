"""The command `training sign-model`. It parses, calls and prints."""

from __future__ import annotations

import os
from pathlib import Path

import click

from db.terminal import json_option, project_option, say, say_json


@click.command("sign-model")
@click.argument("model")
@click.option(
    "--key",
    "key_path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Elliptic-curve private key in PEM; its passphrase comes from CLEARTITLE_SIGNING_PASSPHRASE.",
)
@json_option
@project_option
def sign_model(model: str, key_path: Path, *, as_json: bool, project_dir: Path) -> None:
    """Sign a model's folder as OpenSSF Model Signing has it, offline: model.sig beside the weights.

    Weights, credentials, papers and pictures are covered. The public key is kept as keys/model-signing.pub.pem, with
    which `training verify` checks the signature, and others can by OpenSSF's own tool. Needs the extra `openssf`.

    Example: cleartitle training sign-model spring-1a2b3c4d --key EC.pem
    """
    from db.project import open_project
    from governance.signing.signers import PASSPHRASE_VARIABLE
    from training.papers.model_signature import KEY_NAME
    from training.papers.signing import sign_model as sign

    project = open_project(project_dir)
    path = sign(project, model, key_path, os.environ.get(PASSPHRASE_VARIABLE))
    if as_json:
        say_json({"kind": "model-signed", "model_name": model, "signature": str(path)})
        return
    say(f"signed: {path}; public key {project.keys / KEY_NAME}")
