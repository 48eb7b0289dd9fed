"""The command that measures clips. It parses, calls and prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredUndecided, ConfigError, Error
from db.terminal import clock_text, heading, json_option, note, progress, say, say_field, say_json, say_table

if TYPE_CHECKING:
    from training.quality.card import QualityCard
    from training.quality.upkeep import KeptCard, Price

_COLUMNS = {
    "temporal_flicker": "flicker>", "warping_error": "warp>", "unmatched_share": "unmat.>",
    "motion_smoothness": "smooth>", "pace_unevenness": "pace>", "frozen_share": "frozen>", "dynamic_degree": "motion>",
    "subject_consistency": "subj.>", "background_consistency": "backg.>",
}  # fmt: skip


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, metavar="FILE_OR_FOLDER...", type=click.Path(path_type=Path)
)
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Also write a gallery.")
@click.option(
    "--price-per-hour",
    type=click.FloatRange(min=0),
    help="What an hour of the machine costs; gives recorded time a cost.",
)
@click.option("--currency", default="", help="Of that price, such as EUR.")
@click.option("--dry-run", is_flag=True, help="Measure and print, but write no card and no gallery.")
@json_option
def quality(
    paths: tuple[Path, ...],
    page: Path | None,
    price_per_hour: float | None,
    currency: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Measure clips and keep a quality card beside each: what is good, what is not, what nobody measured.

    A card that is there and still true is kept. The encoder is always the embedded one, so that cards of different
    projects can be compared.

    Example: cleartitle quality outputs --html gallery.html
    """
    from training.quality.gallery import check_page, write_gallery_of
    from training.quality.upkeep import Price

    if page is not None:
        check_page(page)
    if currency and price_per_hour is None:
        raise ConfigError("--currency says what a price is in", hint="give --price-per-hour as well")
    price = None if price_per_hour is None else Price(per_hour=price_per_hour, currency=currency)
    clips, num_unread = _clips(paths)
    kept, failed = _measure(clips, price, is_written=not dry_run, as_json=as_json)
    if page is not None and kept and not dry_run:
        write_gallery_of(kept, page, title=paths[0].resolve().name if len(paths) == 1 else "clips")
        note(f"gallery: {page}")
    if not as_json:
        _say(kept)
    if failed or num_unread:
        raise AnsweredUndecided(f"{failed + num_unread} files could not be measured")


def _clips(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """Return the clips to be measured, and how many files that were asked for cannot be read."""
    from ingest.media.sources import SourceFile, walk_sources

    clips: list[Path] = []
    num_other = num_unread = 0
    for found in walk_sources(paths):
        if isinstance(found, SourceFile):
            clips.append(found.path)
        elif found.code in {"source.not_video_suffix", "source.hidden", "source.already_visited"}:
            num_other += 1
        else:
            num_unread += 1
            note(f"not measured: {found.path}: {found.detail}")
    if num_other:
        note(f"passed over: {num_other} files that are hidden, met twice or not called like a video")
    if not clips and not num_unread:
        raise ConfigError(f"there is no video in {', '.join(str(path) for path in paths)}")
    return clips, num_unread


def _measure(
    clips: Sequence[Path], price: Price | None, *, is_written: bool, as_json: bool
) -> tuple[list[KeptCard], int]:
    """Return the cards, and how many clips have none; what went wrong is said as it happens."""
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from training.quality.frames import expected_frames
    from training.quality.upkeep import keep_card

    encoder = open_encoder(None, choose_compute()).encoder
    kept: list[KeptCard] = []
    expected = [expected_frames(clip) for clip in clips]
    with progress("measuring", sum(expected) or None) as advance:
        for clip, num_frames in zip(clips, expected, strict=True):
            try:
                card = keep_card(clip, encoder, price=price, is_written=is_written, on_frame=advance)
            except Error as exc:
                _say_failure(clip, exc, as_json=as_json)
                continue
            if not card.is_new:
                advance(num_frames)
            kept.append(card)
            if as_json:
                say_json({"path": str(clip), "is_new": card.is_new, "card": card.card.as_json()})
    return kept, len(clips) - len(kept)


def _say_failure(clip: Path, error: Error, *, as_json: bool) -> None:
    if as_json:
        say_json({"path": str(clip), "error": str(error), "hint": error.hint})
        return
    note(f"not measured: {error}")
    if error.hint:
        note(f"  try: {error.hint}")


def _say(kept: Sequence[KeptCard]) -> None:
    if len(kept) == 1:
        _say_card(kept[0].card)
    elif kept:
        say_table(("clip", *_COLUMNS.values()), (_row(item.card) for item in kept))
        num_new = sum(item.is_new for item in kept)
        say(f"{len(kept)} clips measured, {len(kept) - num_new} of them before")


def _row(card: QualityCard) -> list[str]:
    return [card.facts.file_name, *(card.measure(name).number for name in _COLUMNS)]


def _say_card(card: QualityCard) -> None:
    facts = card.facts
    say(f"{facts.file_name}: {facts.width} x {facts.height}, {facts.num_frames} frames in "
        f"{clock_text(facts.duration_seconds)}, {facts.bitrate_bps / 1000:,.0f} kbit/s, {facts.video_codec}, "
        f"{'with' if facts.has_audio else 'without'} sound")  # fmt: skip
    heading("Measures")
    for label, text in _lines(card):
        say_field(label, text, width=25)
    heading("What holds generated video back")
    for concern in card.concerns:
        begin = "" if concern.is_measured else "not measured: "
        say_field(concern.name, begin + concern.statement, width=25)


def _lines(card: QualityCard) -> Iterator[tuple[str, str]]:
    measures: tuple[Any, ...] = (*card.measures, *(card.compute.measures if card.compute else ()))
    for measure in measures:
        text = measure.text if measure.value is not None else f"not measured: {measure.reason}"
        yield measure.definition.title.lower(), text
