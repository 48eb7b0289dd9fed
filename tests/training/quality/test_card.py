"""The card: what it says, that it reads back as it was written, and what is no card."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.training.quality import films
from training.quality.card import QualityCard, card_path, clip_path, read_card, write_card
from training.quality.concerns import concerns
from training.quality.definitions import CLIP_DEFINITIONS
from training.quality.effort import stopwatch
from training.quality.errors import NotMeasurable
from training.quality.upkeep import Price, keep_card

if TYPE_CHECKING:
    from ingest.encoders.encoder import Encoder

SEVEN = (
    "temporal coherence", "physics", "control", "compute", "copyright", "uncanny people", "human oversight",
)  # fmt: skip


def full_card(card: QualityCard) -> QualityCard:
    """Return the card with everything that the maker of a clip can add."""
    with stopwatch() as watch:
        pass
    compute, screen, oversight = (
        watch.record(flop=10),
        {"outcome": "passed", "sentence": "nothing was found"},
        "human_validated",
    )
    return dataclasses.replace(
        card,
        compute=compute,
        screen=screen,
        oversight=oversight,
        concerns=concerns(card.measures, compute, screen, oversight),
    )


def test_a_card_reads_back_as_it_was_written(card: QualityCard, tmp_path: Path) -> None:
    path = tmp_path / "clip.quality.json"
    for written in (card, full_card(card)):
        write_card(written, path)
        assert read_card(path) == written
        before = path.read_bytes()
        write_card(read_card(path), path)
        assert path.read_bytes() == before


def test_every_number_says_what_it_is(card: QualityCard) -> None:
    record = full_card(card).as_json()
    numbers = record["measures"] | record["compute"]["measures"]
    assert len(numbers) == len(CLIP_DEFINITIONS) + 6
    for name, measure in numbers.items():
        assert measure["method"], name
        assert measure["version"] >= 1
        assert (measure["value"] is None) == bool(measure["not_measured"]), name
    for definition in CLIP_DEFINITIONS:
        assert definition.good
    assert "not with DINO" in numbers["subject_consistency"]["method"]
    assert "efficientnet" in numbers["subject_consistency"]["method"]
    assert record["facts"]["sha256"] == card.facts.sha256


def test_seven_concerns_are_named_and_none_is_passed_over(card: QualityCard) -> None:
    assert tuple(concern.name for concern in card.concerns) == SEVEN
    assert [concern.is_measured for concern in card.concerns] == [True] + [False] * 6
    full = full_card(card).concerns
    known = {concern.name for concern in full if concern.is_measured}
    assert known == {"temporal coherence", "compute", "copyright", "human oversight"}
    assert all(concern.statement for concern in full)
    by_name = {concern.name: concern.statement for concern in full}
    assert by_name["copyright"].startswith("replication screen: passed, nothing was found; ")
    assert "human_validated" in by_name["human oversight"]


@pytest.mark.parametrize(
    "screen", [{"outcome": "not-comparable", "sentence": "too plain"}, {}, {"outcome": 3}]
)
def test_a_screen_that_decided_nothing_leaves_copyright_open(
    screen: dict[str, Any], card: QualityCard
) -> None:
    (copyright_,) = (c for c in concerns(card.measures, None, screen, None) if c.name == "copyright")
    assert not copyright_.is_measured


def test_two_clips_of_one_name_have_two_cards() -> None:
    assert card_path(Path("a/clip.mp4")) == Path("a/clip.quality.json")
    assert card_path(Path("a/clip.webm")) == Path("a/clip.webm.quality.json")


def test_a_card_leads_back_to_its_clip(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.webm", "three.final.mp4"):
        clip = tmp_path / name
        clip.touch()
        assert clip_path(card_path(clip)) == clip


def _without(name: str) -> Any:
    def edit(record: dict[str, Any]) -> None:
        del record[name]

    return edit


def _with(*path: str, value: Any) -> Any:
    def edit(record: dict[str, Any]) -> None:
        for name in path[:-1]:
            record = record[name]
        record[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _without("measures"),
        _without("facts"),
        _without("concerns"),
        _with("format", value="cleartitle.quality/9"),
        _with("measures", value={}),
        _with("measures", value=[]),
        _with("measures", "warping_error", "value", value="high"),
        _with("measures", "warping_error", "value", value=float("nan")),
        _with("measures", "warping_error", "value", value=10**400),
        _with("measures", "warping_error", "value", value=None),
        _with("measures", "warping_error", value=3),
        _with("facts", "duration_seconds", value=0),
        _with("facts", "num_frames", value=float("inf")),
        _with("compute", value={"machine": "x", "measures": {}}),
        _with("screen", value="fine"),
        _with("oversight", value=3),
        _with("concerns", value=[{"name": "physics"}]),
    ],
)
def test_what_is_no_card_is_not_read(edit: Any, card: QualityCard, tmp_path: Path) -> None:
    record = card.as_json()
    edit(record)
    path = tmp_path / "clip.quality.json"
    path.write_text(json.dumps(record))
    with pytest.raises(NotMeasurable, match="not a quality card") as refusal:
        read_card(path)
    assert refusal.value.hint


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"3", b"{}"])
def test_what_is_no_json_is_not_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.quality.json"
    path.write_bytes(content)
    with pytest.raises(NotMeasurable, match=r"clip\.quality\.json"):
        read_card(path)


def test_a_card_that_is_true_is_kept(short_clip: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(short_clip, tmp_path / "clip.mp4"))
    shown: list[int] = []
    first = keep_card(own, None, on_frame=shown.append)
    assert first.is_new
    assert len(shown) == films.SHORT_FRAMES
    before = card_path(own).read_bytes()
    again = keep_card(own, None, on_frame=shown.append)
    assert not again.is_new
    assert len(shown) == films.SHORT_FRAMES
    assert again.card == first.card
    assert card_path(own).read_bytes() == before


def test_a_card_of_other_bytes_is_measured_again(card: QualityCard, tmp_path: Path) -> None:
    """What the maker said of the old bytes does not pass to the new ones."""
    own = films.write_film(tmp_path / "clip.mp4", films.film(6, seed=5))
    write_card(full_card(card), card_path(own))
    renewed = keep_card(own, None)
    assert renewed.is_new
    assert renewed.card.facts.num_frames == 6
    assert renewed.card.compute is None
    assert renewed.card.screen is None
    assert read_card(card_path(own)) == renewed.card


def test_an_outdated_card_is_renewed_and_keeps_what_only_its_maker_knows(
    short_clip: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copy(short_clip, tmp_path / "clip.mp4"))
    first = full_card(keep_card(own, None).card)
    record = first.as_json()
    record["measures"]["warping_error"] |= {"version": 0, "value": 99.0}
    card_path(own).write_text(json.dumps(record))
    renewed = keep_card(own, None)
    assert renewed.is_new
    assert renewed.card == first


def test_a_card_of_another_encoder_is_renewed(short_clip: Path, encoder: Encoder, tmp_path: Path) -> None:
    own = Path(shutil.copy(short_clip, tmp_path / "clip.mp4"))
    assert keep_card(own, None).card.encoder_digest is None
    renewed = keep_card(own, encoder)
    assert renewed.is_new
    assert renewed.card.encoder_digest == encoder.identity.digest
    assert renewed.card.measure("subject_consistency").value is not None


def test_a_price_gives_recorded_time_a_cost(short_clip: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(short_clip, tmp_path / "clip.mp4"))
    write_card(full_card(keep_card(own, None).card), card_path(own))
    priced = keep_card(own, None, price=Price(per_hour=2.5, currency="EUR"))
    assert priced.is_new
    assert priced.card.compute is not None
    assert priced.card.compute.measure("cost").definition.unit == "EUR"
    assert not keep_card(own, None, price=Price(per_hour=2.5, currency="EUR")).is_new


def test_nothing_is_written_when_nothing_shall_be(short_clip: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(short_clip, tmp_path / "clip.mp4"))
    assert keep_card(own, None, is_written=False).is_new
    assert not card_path(own).exists()
