"""The `verify` command: a thin layer over `governance.credentials.verify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo, AnsweredUndecided
from db.terminal import clock_text, heading, json_option, progress, project_option, say_field, say_json

if TYPE_CHECKING:
    from governance.credentials.chain import ChainOfTitle
    from governance.credentials.trust import TrustAnchors
    from governance.credentials.verdict import Verdict


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--trust",
    "trust_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file of root certificates to trust instead of the project's; may be repeated.",
)
@click.option(
    "--weights", type=click.Path(path_type=Path, dir_okay=False), help="Also check the model's weights file."
)
@click.option(
    "--snapshot",
    "document",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also recompute the Merkle root of this snapshot document.",
)
@click.option(
    "--for",
    "release",
    type=click.Choice(["commercial"]),
    help="Also require that the file may be released like this: `commercial` refuses what is for research only.",
)
@json_option
@project_option
def verify(
    files: tuple[Path, ...],
    trust_files: tuple[Path, ...],
    weights: Path | None,
    document: Path | None,
    release: str | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Validate Content Credentials and walk from clip to model, snapshot and licences.

    Works offline and without a database. Exit 0: every file passes. 1: one does not. 3: one has no manifest or
    cannot be read.

    Example: cleartitle verify outputs/*.mp4
    """
    from governance.credentials.verify import verify_file

    trust = _anchors(trust_files, project_dir)
    verdicts = []
    with progress("verifying", len(files)) as advance:
        for file in files:
            verdict = verify_file(file, trust, weights=weights, snapshot_document=document)
            verdicts.append(verdict if release is None else verdict.for_commercial())
            advance(1)
    for verdict in verdicts:
        if as_json:
            say_json(verdict.as_json())
        else:
            _print_verdict(verdict)
    _answer(verdicts)


def _anchors(trust_files: Sequence[Path], project_dir: Path) -> TrustAnchors:
    from db.project import CONFIG_NAME, open_project
    from governance.credentials.trust import load_trust_anchors

    if trust_files or not (project_dir / CONFIG_NAME).exists():
        return load_trust_anchors(trust_files)
    return load_trust_anchors(open_project(project_dir).trust_anchors)


def _answer(verdicts: Sequence[Verdict]) -> None:
    from governance.credentials.verdict import VerdictOutcome

    outcomes = {verdict.outcome for verdict in verdicts}
    if outcomes & {VerdictOutcome.FAIL, VerdictOutcome.UNTRUSTED}:
        raise AnsweredNo("verification failed")
    if outcomes & {VerdictOutcome.NO_MANIFEST, VerdictOutcome.UNREADABLE}:
        raise AnsweredUndecided("no manifest")


def _print_verdict(verdict: Verdict) -> None:
    heading(f"{verdict.outcome.name.replace('_', ' ')}  {verdict.path}")
    for failure in verdict.failures:
        _say(failure.code, failure.reason)
    if verdict.credentials is not None:
        credentials = verdict.credentials
        _say("signed by", f"{credentials.signer}, with {credentials.claim_generator} ({credentials.state})")
    if verdict.chain is not None:
        _print_chain(verdict.chain)
    for remark in verdict.remarks:
        _say("note", remark)
    for item in verdict.not_checked:
        _say("not checked", item)


def _say(label: str, text: str) -> None:
    # A failure code may be longer than the column; two spaces keep it apart from its reason.
    say_field(f"  {label}", text, width=max(15, len(label) + 4))


def _print_chain(chain: ChainOfTitle) -> None:
    model, snapshot = chain.model, chain.snapshot
    if model is not None:
        _say("model", f"{model.name}, {model.num_parameters:,} parameters, {model.num_steps:,} steps")
        _say("", f"weights sha256 {model.weights_sha256}")
    _say("snapshot", f"{snapshot.name}, {snapshot.num_clips} clips, {clock_text(snapshot.duration_seconds)}")
    _say("", f"Merkle root {snapshot.merkle_root}")
    _say("policy", f"{snapshot.policy_name} {snapshot.policy_version}")
    _say("", f"sha256 {snapshot.policy_digest}")
    total = snapshot.duration_seconds or 1.0
    for number, share in enumerate(snapshot.licenses):
        footage = f"{share.duration_seconds / total:6.1%}  {clock_text(share.duration_seconds):>9}"
        _say(
            "licences" if number == 0 else "",
            f"{footage}  {share.num_clips} clips  {share.license_expression}",
        )
