"""The commands that give verdicts: decide, confirm, withdraw, apply. They parse, call and print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredMisuse, AnsweredNo, AnsweredUndecided, ConfigError, Error, RefusedError
from db.terminal import json_option, say, say_json
from governance.review.desk_options import REVIEW_ID, open_desk, reason_option, reviewer_options

if TYPE_CHECKING:
    from db.project import Project
    from db.rights_records import ReviewRecord
    from governance.review.requests import Answer


@click.command()
@click.argument("clips", nargs=-1, metavar="[CLIP]...")
@click.option("--verdict", "word", type=click.Choice(["approve", "exclude", "waive"]), required=True)
@reason_option
@click.option("--codes", help="Waive these reasons, separated by commas.")
@click.option("--until", help="Until the end of this day (UTC); a waiver needs it.")
@click.option("--conditions", default="", help="What a waiver asks for.")
@click.option(
    "--scope", "scopes", multiple=True, help="Instead of clips: asset:SHA256, title:REF, holder:NAME."
)
@json_option
@reviewer_options
def decide(
    clips: tuple[str, ...],
    word: str,
    reason: str,
    codes: str | None,
    until: str | None,
    conditions: str,
    scopes: tuple[str, ...],
    *,
    as_json: bool,
    policy_name: str | None,
    reviewer: str | None,
    project_dir: Path,
) -> None:
    """Give a verdict on clips, or on whatever --scope names. CLIP is a clip id, the start of one, or a file.

    Exit 0 if all of it was recorded, 1 if some of it may not be, 2 if some of it makes no sense.

    Example: cleartitle review decide 4a84c9 --verdict approve --reason "agreement 12, clause 3"
    """
    from db.vocabularies import Verdict
    from governance.review.forms import end_of_day
    from governance.review.requests import VerdictRequest

    desk = open_desk(project_dir, policy_name, reviewer)
    wanted = [*_scopes_of(desk.project, clips), *scopes]
    if not wanted:
        raise ConfigError("no clip is named", hint="give clip ids or files, or --scope")
    requests = [
        VerdictRequest(
            scope=scope,
            verdict=Verdict(word),
            reason=reason,
            codes=_words(codes),
            expires_at=None if until is None else end_of_day(until),
            conditions=conditions,
        )
        for scope in wanted
    ]
    if len(requests) == 1:
        _report(_done(desk.decide(requests[0])), as_json=as_json)
    else:
        _report(desk.decide_many(requests), as_json=as_json)


@click.command()
@click.argument("review_ids", nargs=-1, type=REVIEW_ID, required=True, metavar="ID...")
@reason_option
@json_option
@reviewer_options
def confirm(
    review_ids: tuple[int, ...],
    reason: str,
    *,
    as_json: bool,
    policy_name: str | None,
    reviewer: str | None,
    project_dir: Path,
) -> None:
    """Give verdicts the second person's word. ID is the number that `review verdicts` shows.

    Example: cleartitle review confirm 17 --reason "I read clause 3 as well"
    """
    desk = open_desk(project_dir, policy_name, reviewer)
    if len(review_ids) == 1:
        _report(_done(desk.confirm(review_ids[0], reason)), as_json=as_json)
    else:
        _report(desk.confirm_reviews(review_ids, reason), as_json=as_json)


@click.command()
@click.argument("review_id", type=REVIEW_ID, metavar="ID")
@reason_option
@json_option
@reviewer_options
def withdraw(
    review_id: int,
    reason: str,
    *,
    as_json: bool,
    policy_name: str | None,
    reviewer: str | None,
    project_dir: Path,
) -> None:
    """End an earlier verdict. The end of an exclusion counts once a second person confirmed it.

    Example: cleartitle review withdraw 17 --reason "the document was for another film"
    """
    desk = open_desk(project_dir, policy_name, reviewer)
    _report(_done(desk.withdraw(review_id, reason)), as_json=as_json)


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@json_option
@reviewer_options
def apply(
    file: Iterable[bytes],
    *,
    as_json: bool,
    policy_name: str | None,
    reviewer: str | None,
    project_dir: Path,
) -> None:
    """Give the verdicts of a file of JSON lines (default: stdin) and answer each with a JSON line.

    A line has `verdict` (approve, exclude, waive, confirm or withdraw), `reason`, and `clip`, `scope` or `review`; a
    waiver also `codes` and `until`. The same line given again by the same person is answered with what is on record.

    Example: cleartitle review apply --json - < verdicts.jsonl
    """
    from governance.review.lines import apply_line

    desk = open_desk(project_dir, policy_name, reviewer)
    answers = (apply_line(desk, line) for line in file if line.strip())
    _report(answers, as_json=as_json)


def _scopes_of(project: Project, clips: Sequence[str]) -> list[str]:
    from db.reviews import clip_scope
    from governance.decisions.explanation import find_clips

    with project.session() as session:
        found = [clip for text in clips for clip in find_clips(session, text, None)]
    return list(dict.fromkeys(clip_scope(clip.clip_id) for clip in found))


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _report(answers: Iterable[Answer], *, as_json: bool) -> None:
    """Tell each answer as it comes, then leave with the code that the worst of them asks for."""
    from governance.review.telling import answer_json, said

    errors: list[Error] = []
    for number, answer in enumerate(answers, start=1):
        errors += [] if answer.error is None else [answer.error]
        if as_json:
            say_json({"number": number} | answer_json(answer))
        elif answer.review is not None:
            sample = ", drawn for another look" if answer.review.is_sample else ""
            say(f"review {answer.review.id}: {said(answer.review)} {answer.review.scope}{sample}")
        else:
            hint = answer.error.hint if answer.error is not None else None
            say(f"not recorded: {answer.error}" + (f" (try: {hint})" if hint else ""))
    if any(isinstance(error, RefusedError) for error in errors):
        raise AnsweredNo("some verdicts were refused")
    if any(isinstance(error, ConfigError) for error in errors):
        raise AnsweredMisuse("some verdicts make no sense")
    if errors:
        raise AnsweredUndecided("some verdicts could not be recorded")


def _done(review: ReviewRecord) -> list[Answer]:
    from governance.review.requests import Answer

    return [Answer(scope=review.scope, review=review)]
