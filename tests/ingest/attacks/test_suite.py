from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.attacks.bases import Base, RefusedBase, survey_bases
from ingest.attacks.copies import Insert, Inset, SideBySide, Speed
from ingest.attacks.corpus import Unwritten, Written, write_queries, write_references
from ingest.attacks.film import Picture, read_film, write_film
from ingest.attacks.recipes import AttackKind, draw_edits, fit_host, host_seconds_needed
from ingest.attacks.suite import (
    AttackSuite,
    PlannedReference,
    Relation,
    Role,
    Span,
    SuiteSettings,
    plan_suite,
    relation_of,
)
from tests.media import moving_scene, truncate_file, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FAST = SuiteSettings(
    kinds=(AttackKind.PLAIN, AttackKind.FASTER, AttackKind.INSERTED),
    longest_seconds=2.0,
    reference_seconds=6.0,
    negatives_per_base=2,
)


def _base(index: int, *, group: str | None = None, seconds: float = 20.0) -> Base:
    return Base(
        path=Path(f"clip{index}.mp4"), sha256=f"{index:064x}", group=group or f"g{index}", seconds=seconds
    )


def _bases() -> list[Base]:
    long_ones = [_base(index, seconds=60.0) for index in range(10, 12)]
    one_group = [_base(index, group="room") for index in range(20, 23)]
    return [_base(index) for index in range(8)] + long_ones + one_group + [_base(30, seconds=2.1)]


def _counted(level: int, num_frames: int, rate: int = 10) -> list[Picture]:
    """Return a film whose grey level, `level` at first, tells the time: three more with every picture."""
    return [
        Picture(
            Fraction(index, rate),
            Fraction(index + 1, rate),
            np.full((96, 128, 3), level + 3 * index, dtype=np.uint8),
        )
        for index in range(num_frames)
    ]


def _middle(image: NDArray[np.uint8]) -> float:
    return float(image[image.shape[0] // 2, image.shape[1] // 2].mean())


@pytest.fixture
def counted(tmp_path: Path) -> list[Base]:
    """Three clips of 4, 4 and 7 seconds."""
    for name, level, num_frames in [("a", 10, 40), ("b", 60, 40), ("c", 20, 70)]:
        write_film(_counted(level, num_frames), tmp_path / f"{name}.mp4", crf=4)
    files = [(tmp_path / f"{name}.mp4", name) for name in "abc"]
    return [base for base in survey_bases(files) if isinstance(base, Base)]


def _written(suite: AttackSuite, folder: Path) -> list[Path]:
    outcomes = list(write_queries(suite, folder))
    assert [outcome.planned for outcome in outcomes] == list(suite.queries)
    return [outcome.path for outcome in outcomes if isinstance(outcome, Written)]


def test_every_kind_of_attack_is_drawn_from_its_seed_and_varies() -> None:
    for kind in AttackKind:
        drawn = [draw_edits(kind, Random(seed)) for seed in range(30)]
        assert drawn == [draw_edits(kind, Random(seed)) for seed in range(30)]
        # There are but two sides.
        assert len(set(drawn)) >= (2 if kind is AttackKind.SIDE_BY_SIDE else 5), kind
        assert any(isinstance(edit, Insert | Inset | SideBySide) for edit in drawn[0]) == kind.is_hosted


def test_an_insert_is_shortened_to_its_host() -> None:
    edits = (Insert(3.0, 1.0),)
    assert fit_host(edits, 2.0) == (Insert(1.5, 0.5),)
    assert fit_host(edits, 4.0) == edits
    assert host_seconds_needed(edits, 8.0) == 4.0
    assert host_seconds_needed((Inset(0.4),), 8.0) == 8.0
    assert host_seconds_needed((Speed(2.0),), 8.0) == 0.0


def test_each_reference_is_attacked_once_in_each_way() -> None:
    suite = plan_suite(_bases(), seed=1)
    for reference in suite.references:
        kinds = [
            query.kind for query in suite.queries if query.base == reference.base and query.role is Role.COPY
        ]
        assert kinds == list(AttackKind)


def test_the_plan_depends_on_the_seed_and_on_nothing_else() -> None:
    suite = plan_suite(_bases(), seed=1)
    assert plan_suite(list(reversed(_bases())), seed=1) == suite
    assert plan_suite(_bases(), seed=2) != suite
    elsewhere = [
        dataclasses.replace(base, path=Path("other") / base.path, group=f"x{base.group}") for base in _bases()
    ]
    assert [query.name for query in plan_suite(elsewhere, seed=1).queries] == [
        query.name for query in suite.queries
    ]


def test_a_group_is_either_referred_to_or_held_out() -> None:
    for seed in range(20):
        suite = plan_suite(_bases(), seed=seed)
        referred = {reference.base.group for reference in suite.references}
        held_out = {query.base.group for query in suite.queries if query.role is Role.NEGATIVE}
        assert not referred & held_out
        assert referred | held_out == {base.group for base in _bases()}
        hosts = {query.host.base.group for query in suite.queries if query.host is not None}
        assert hosts <= held_out
        assert all(
            query.host.base.group != query.base.group for query in suite.queries if query.host is not None
        )


def test_excerpts_lie_in_what_they_are_cut_from() -> None:
    settings = SuiteSettings()
    suite = plan_suite(_bases(), seed=3, settings=settings)
    seconds = {reference.base: reference.seconds for reference in suite.references}
    for query in suite.queries:
        assert query.take.start_seconds <= query.excerpt.start_seconds
        assert query.excerpt.end_seconds <= query.take.end_seconds + 1e-9
        assert 2.0 - 1e-3 <= query.excerpt.seconds <= settings.longest_seconds
        if query.role is Role.COPY:
            assert query.take.end_seconds <= seconds[query.base]
        if query.kind is AttackKind.SHORT:
            assert query.excerpt.seconds <= 3.0
        if query.host is not None:
            assert query.host.span.end_seconds <= query.host.base.seconds
    starts = {query.excerpt.start_seconds for query in suite.queries}
    assert len(starts) > len(suite.queries) / 2


def test_a_sibling_is_of_seconds_that_no_reference_holds() -> None:
    suite = plan_suite(_bases(), seed=4)
    by_base = {reference.base: reference for reference in suite.references}
    siblings = [query for query in suite.queries if query.role is Role.SIBLING]
    assert {query.base.seconds for query in siblings} == {60.0}
    for query in siblings:
        reference = by_base[query.base]
        assert reference.seconds == 30.0
        assert not reference.is_whole
        assert query.take.start_seconds >= 31.0
        assert query.query_seconds is None
        assert relation_of(query, reference) is Relation.SIBLING
    assert all(reference.is_whole for reference in suite.references if reference.base.seconds <= 20)


def test_relations_tell_apart_what_must_be_found_what_must_not_and_what_nobody_knows() -> None:
    room, other = _base(1, group="room"), _base(2, group="room")
    suite = plan_suite([room, other, *(_base(index) for index in range(3, 6))], seed=1)
    references = {reference.base: reference for reference in suite.references}
    seen = Counter(
        (query.role, relation_of(query, reference), query.base.group == reference.base.group)
        for query in suite.queries
        for reference in references.values()
    )
    assert seen[Role.COPY, Relation.COPY, True] == len(references) * len(AttackKind)
    assert seen[Role.COPY, Relation.STRANGER, True] == 0
    assert seen[Role.NEGATIVE, Relation.STRANGER, False] > 0
    if room in references:
        assert seen[Role.COPY, Relation.SAME_GROUP, True] == 2 * len(AttackKind)


def test_expected_seconds_are_those_of_the_edits() -> None:
    suite = plan_suite(_bases(), seed=5)
    for query in suite.queries:
        if query.role is not Role.COPY:
            assert query.reference_seconds is None
            continue
        assert query.reference_seconds == query.excerpt
        assert query.query_seconds is not None
        if query.kind is AttackKind.FASTER:
            speed = next(edit.factor for edit in query.transforms if isinstance(edit, Speed))
            assert query.query_seconds.seconds == pytest.approx(query.excerpt.seconds / speed)
        elif query.kind is AttackKind.INSERTED:
            insert = next(edit for edit in query.transforms if isinstance(edit, Insert))
            assert query.query_seconds.start_seconds == insert.before_seconds
        elif query.kind is not AttackKind.SLOWER and query.kind is not AttackKind.KITCHEN_SINK:
            assert query.query_seconds == Span(0.0, query.excerpt.seconds)


def test_a_lone_held_out_clip_is_not_hidden_in_itself() -> None:
    suite = plan_suite([_base(1), _base(2)], seed=1)
    negatives = [query for query in suite.queries if query.role is Role.NEGATIVE]
    assert len(negatives) == 6
    assert not any(query.kind.is_hosted for query in negatives)
    assert any(query.kind.is_hosted for query in suite.queries)


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        ([], "0 clips"),
        ([_base(1, group="a"), _base(2, group="a")], "not even two contents"),
        ([_base(1), _base(1, group="b")], "once"),
        ([_base(1), _base(2, seconds=1.9)], r"clip2\.mp4"),
    ],
)
def test_bases_that_make_no_suite_are_refused(bases: list[Base], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_suite(bases, seed=1)


@pytest.mark.parametrize(
    "change",
    [
        {"kinds": ()},
        {"kinds": (AttackKind.PLAIN, AttackKind.PLAIN)},
        {"longest_seconds": 1.0},
        {"longest_seconds": 90.0},
        {"held_out_share": 0.0},
        {"negatives_per_base": 0},
        {"short_side": 10},
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(SuiteSettings(), **change)  # type: ignore[arg-type]


def test_clips_that_take_no_part_are_named_with_a_reason(tmp_path: Path) -> None:
    good = write_video(tmp_path / "good.mp4", moving_scene(1, 60), rate=24)
    write_video(tmp_path / "short.mp4", moving_scene(2, 40), rate=24)
    (tmp_path / "same.mp4").write_bytes(good.read_bytes())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_bytes(b"not a video" * 100)
    truncate_file(write_video(tmp_path / "cut.mp4", moving_scene(3, 60), rate=24), 0.5)
    names = ["good", "short", "same", "empty", "text", "cut", "gone"]
    base, *refused = survey_bases([(tmp_path / f"{name}.mp4", name) for name in names])
    assert isinstance(base, Base)
    assert (base.path, base.group) == (good, "good")
    assert base.seconds == pytest.approx(2.5)
    codes = {each.path.stem: each.code for each in refused if isinstance(each, RefusedBase)}
    assert codes == {
        "short": "base.short",
        "same": "base.duplicate",
        "empty": "media.empty",
        "text": "media.not_video",
        "cut": "media.truncated",
        "gone": "media.unreadable",
    }
    assert all(each.path.stem in each.reason for each in refused if isinstance(each, RefusedBase))


def test_only_as_much_of_a_clip_is_looked_at_as_is_needed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", moving_scene(1, 240), rate=24)
    (base,) = survey_bases([(path, "a")], look_seconds=4.0)
    assert isinstance(base, Base)
    assert 4.0 < base.seconds < 5.0


def test_a_query_shows_at_each_second_what_the_plan_says(counted: list[Base], tmp_path: Path) -> None:
    suite = plan_suite(counted, seed=1, settings=_FAST)
    paths = _written(suite, tmp_path / "corpus")
    assert len(paths) == len(suite.queries) > 6
    num_copies = 0
    for query, path in zip(suite.queries, paths, strict=True):
        if query.query_seconds is None:
            continue
        film = list(read_film(path, short_side=96))
        original = list(read_film(query.base.path, short_side=96))
        for share in (0.1, 0.5, 0.9):
            in_query = query.query_seconds.start_seconds + share * query.query_seconds.seconds
            in_reference = query.excerpt.start_seconds + share * query.excerpt.seconds
            shown = next(picture for picture in film if picture.end > in_query)
            expected = next(picture for picture in original if picture.end > in_reference)
            # Three levels are one picture.
            assert _middle(shown.image) == pytest.approx(_middle(expected.image), abs=4)
        assert float(film[-1].end) >= query.query_seconds.end_seconds - 0.11
        num_copies += 1
    assert num_copies == len(suite.references) * len(_FAST.kinds)


def test_a_long_reference_is_cut_and_a_whole_one_is_the_clip_itself(
    counted: list[Base], tmp_path: Path
) -> None:
    references = [
        outcome
        for seed in range(4)
        for outcome in write_references(plan_suite(counted, seed=seed, settings=_FAST), tmp_path / "corpus")
        if isinstance(outcome, Written)
    ]
    whole = {outcome.path for outcome in references if outcome.planned.base.seconds < 6}
    cut = {outcome.path for outcome in references if outcome.planned.base.seconds > 6}
    assert whole <= {base.path for base in counted}
    assert len(cut) == 1
    film = list(read_film(cut.pop(), short_side=96))
    assert float(film[-1].end) == pytest.approx(3.5, abs=0.1)
    assert _middle(film[0].image) == pytest.approx(20, abs=5)


def test_what_is_there_already_is_kept_and_what_is_missing_is_made_alike(
    counted: list[Base], tmp_path: Path
) -> None:
    suite = plan_suite(counted, seed=1, settings=_FAST)
    paths = _written(suite, tmp_path / "corpus")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    lost = paths[1]
    lost.unlink()
    assert _written(suite, tmp_path / "corpus") == paths
    assert lost.read_bytes() == before[lost][0]
    assert all(path.stat().st_mtime_ns == before[path][1] for path in paths if path != lost)
    assert len(list((tmp_path / "corpus" / "queries").iterdir())) == len(set(paths))


def test_a_stopped_writer_leaves_only_whole_files(counted: list[Base], tmp_path: Path) -> None:
    suite = plan_suite(counted, seed=1, settings=_FAST)
    writing = write_queries(suite, tmp_path / "corpus")
    first = next(writing)
    assert isinstance(writing, Generator)
    writing.close()
    assert isinstance(first, Written)
    assert list((tmp_path / "corpus" / "queries").iterdir()) == [first.path]


def test_a_clip_that_fails_on_use_is_reported_for_each_of_its_queries(
    counted: list[Base], tmp_path: Path
) -> None:
    suite = plan_suite(counted, seed=1, settings=_FAST)
    broken = suite.references[0].base
    truncate_file(broken.path, 0.4)
    outcomes = list(write_queries(suite, tmp_path / "corpus"))
    failed = [outcome for outcome in outcomes if isinstance(outcome, Unwritten)]
    assert {outcome.planned.base for outcome in failed} == {broken}
    assert len(failed) == sum(query.base == broken for query in suite.queries)
    assert all(broken.path.name in outcome.reason and outcome.code for outcome in failed)


def test_a_clip_shorter_than_it_was_when_planned_is_reported(counted: list[Base], tmp_path: Path) -> None:
    reference = PlannedReference(
        base=dataclasses.replace(counted[0], seconds=30.0), seconds=6.0, short_side=96
    )
    suite = dataclasses.replace(plan_suite(counted, seed=1, settings=_FAST), references=(reference,))
    (outcome,) = write_references(suite, tmp_path / "corpus")
    assert isinstance(outcome, Unwritten)
    assert outcome.code == "base.short"
    assert "end at 4.00 s, not at 6.00 s" in outcome.reason


def test_footage_of_many_frames_a_second_is_thinned_to_thirty(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_video(tmp_path / f"{name}.mp4", moving_scene(seed, 150), rate=60)
    bases = [
        base for base in survey_bases((tmp_path / f"{n}.mp4", n) for n in "ab") if isinstance(base, Base)
    ]
    settings = dataclasses.replace(_FAST, kinds=(AttackKind.PLAIN,))
    suite = plan_suite(bases, seed=1, settings=settings)
    path = _written(suite, tmp_path / "corpus")[0]
    film = list(read_film(path, short_side=144))
    assert len(film) == pytest.approx(30 * suite.queries[0].excerpt.seconds, abs=2)
