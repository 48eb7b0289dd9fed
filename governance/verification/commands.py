"""The `verify` command: a thin layer over `governance.verification.verify` and `folders`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo, AnsweredUndecided, UndecidedError
from db.terminal import (
    clock_text,
    heading,
    json_option,
    note,
    progress,
    project_option,
    say,
    say_field,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from governance.manifests.chain import ChainOfTitle, ClipFacts
    from governance.verification.verdict import Verdict, VerdictOutcome
    from governance.verification.verify import Recover


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--trust",
    "trust_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Root certificates of signers to trust instead of the project's (PEM or trust list); may be repeated.",
)
@click.option(
    "--trust-time",
    "time_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Root certificates of time-stamp authorities, likewise; they vouch for times, never for signers.",
)
@click.option(
    "--crl",
    "crl_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificate revocation list of an issuer, saved on this machine; adds to the project's.",
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
@click.option("--records", is_flag=True, help="Also look up recalls in the project's database.")
@click.option(
    "--registry",
    is_flag=True,
    help="Look up files without credentials in the project's registry of its clips.",
)
@click.option(
    "--jobs",
    "num_processes",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="number of CPUs",
    help="Processes for many files.",
)
@click.option("--all", "show_all", is_flag=True, help="Of many files, show in full those that pass as well.")
@json_option
@project_option
def verify(
    files: tuple[Path, ...],
    trust_files: tuple[Path, ...],
    time_files: tuple[Path, ...],
    crl_files: tuple[Path, ...],
    weights: Path | None,
    document: Path | None,
    release: str | None,
    num_processes: int,
    *,
    records: bool,
    registry: bool,
    show_all: bool,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Validate Content Credentials and walk from clip to model, snapshot and licences.

    Takes files and folders, which are searched with all below them. Works offline and without a database. Exit
    0: every file passes. 1: one does not. 3: one has no manifest, had one that only a registry knows, or cannot
    be read.

    Example: cleartitle verify outputs/
    """
    from governance.trust.given import given_trust
    from governance.verification.folders import FoundFiles, Request, is_folder, verify_all

    request = Request(
        trust=given_trust(project_dir, trust_files, time_files, crl_files),
        weights=weights,
        snapshot_document=document,
        recover=_recoverer(project_dir) if registry else None,
    )
    changes = _amendments(project_dir, release, has_records=records)
    found = FoundFiles(files)
    are_many = len(files) > 1 or is_folder(files[0])
    counts: Counter[VerdictOutcome] = Counter()
    with (
        closing(verify_all(found, request, num_processes=num_processes)) as verdicts,
        progress("verifying", None if any(is_folder(path) for path in files) else len(files)) as advance,
    ):
        for verdict in (_amended(verdict, changes) for verdict in verdicts):
            counts[verdict.outcome] += 1
            _say_verdict(verdict, as_json=as_json, is_brief=are_many and not show_all)
            advance(1)
    if found.num_skipped:
        note(f"passed over: {found.num_skipped:,} files that cannot carry Content Credentials")
    if are_many and not as_json:
        _print_counts(counts)
    _answer(counts)


def _recoverer(project_dir: Path) -> Recover:
    from db.project import open_project
    from governance.registry.lookup import Registry

    return Registry(open_project(project_dir)).recover


def _amendments(
    project_dir: Path, release: str | None, *, has_records: bool
) -> list[Callable[[Verdict], Verdict]]:
    """Return what is done to each verdict after the file itself has been verified."""
    changes: list[Callable[[Verdict], Verdict]] = []
    if has_records:
        from db.project import open_project
        from governance.verification.records import read_snapshot_records

        changes.append(read_snapshot_records(open_project(project_dir)).apply)
    if release is not None:
        changes.append(lambda verdict: verdict.for_commercial())
    return changes


def _amended(verdict: Verdict, changes: Sequence[Callable[[Verdict], Verdict]]) -> Verdict:
    for change in changes:
        verdict = change(verdict)
    return verdict


def _answer(counts: Counter[VerdictOutcome]) -> None:
    from governance.verification.verdict import VerdictOutcome

    if not counts:
        raise UndecidedError("there is nothing to verify: no file that can carry Content Credentials")
    if counts[VerdictOutcome.FAIL] or counts[VerdictOutcome.UNTRUSTED]:
        raise AnsweredNo("verification failed")
    if counts.total() != counts[VerdictOutcome.PASS]:
        raise AnsweredUndecided("no manifest")


def _print_counts(counts: Counter[VerdictOutcome]) -> None:
    from governance.verification.verdict import VerdictOutcome

    say()
    rows = [(_title(outcome), f"{counts[outcome]:,}") for outcome in VerdictOutcome if counts[outcome]]
    say_table(("outcome", "files>"), [*rows, ("all", f"{counts.total():,}")])


def _title(outcome: VerdictOutcome) -> str:
    return outcome.name.replace("_", " ")


def _say_verdict(verdict: Verdict, *, as_json: bool, is_brief: bool) -> None:
    from governance.verification.verdict import VerdictOutcome

    if as_json:
        say_json(verdict.as_json())
    elif not is_brief or verdict.outcome is not VerdictOutcome.PASS:
        _print_verdict(verdict)


def _print_verdict(verdict: Verdict) -> None:
    heading(f"{_title(verdict.outcome)}  {verdict.path}")
    for failure in verdict.failures:
        _say(failure.code, failure.reason)
    if verdict.credentials is not None:
        credentials = verdict.credentials
        # Of recovered credentials the library cannot say that they are valid: it has no file to hold them against.
        state = "" if verdict.recovered is not None else f" ({credentials.state})"
        _say("signed by", f"{credentials.signer}, with {credentials.claim_generator}{state}")
        if credentials.signed_at is not None:
            _say("signed at", f"{credentials.signed_at}, by a time stamp")
        if credentials.unrevoked_as_of is not None:
            _say("not revoked", f"as of {credentials.unrevoked_as_of}, by the issuers' lists")
    if verdict.chain is not None:
        _print_chain(verdict.chain)
    for remark in verdict.remarks:
        _say("note", remark)
    for item in verdict.not_checked:
        _say("not checked", item)


def _screened_text(clip: ClipFacts) -> str:
    """Say what the search for other footage in the clip came to before it was signed."""
    if clip.screen_outcome is None:
        return "the clip does not say that it was looked for in other footage"
    if clip.screen_probability is None:
        return f"{clip.screen_outcome}: no training or reference footage was found in it"
    return f"{clip.screen_outcome}: shows other footage with a probability of {clip.screen_probability:.3f}"


def _say(label: str, text: str) -> None:
    # A failure code may be longer than the column; two spaces keep it apart from its reason.
    say_field(f"  {label}", text, width=max(15, len(label) + 4))


def _print_chain(chain: ChainOfTitle) -> None:
    clip, model, snapshot = chain.clip, chain.model, chain.snapshot
    if clip is not None:
        _say("screened", _screened_text(clip))
        _say("oversight", clip.human_oversight or "not stated")
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
