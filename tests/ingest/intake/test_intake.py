"""Intake: files become assets once, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db import evidence, queries
from db.events import list_events
from db.holdings import rejected_files
from db.project import Project
from db.records import AssetRecord
from db.sounds import SoundRecord, sound_of
from db.vocabularies import CollectionKind, Tri
from governance.bootstrap import bootstrap
from ingest.errors import EncoderError
from ingest.intake import readers, reading
from ingest.intake.intake import Intake, TakenFile, clip_id, count_sources, take_in
from ingest.intake.readers import Opener
from ingest.media.digests import file_digest
from ingest.pictures.vectors import VectorStore
from ingest.sound import prints as sound
from ingest.sound.chromaprint import SAMPLE_RATE, EngineMissing
from ingest.sound.store import SOUND_ENGINE_DIGEST
from tests.ingest.sound.test_prints import needs_engine, tones
from tests.library import ColourEncoder, take_footage, write_film, write_footage
from tests.media import flat_scene, moving_scene, truncate_file, write_video

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IDENTITY = ColourEncoder.identity


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def _asset(project: Project, path: Path) -> AssetRecord:
    with project.session() as session:
        found = queries.find_asset(session, file_digest(path).sha256)
    assert found is not None
    return found


def _intakes(files: Sequence[TakenFile]) -> dict[str, Intake]:
    return {file.path.name: file.intake for file in files}


def _num_events(project: Project, kind: str) -> int:
    with project.session() as session:
        return len(list_events(session, kind=kind))


def test_an_asset_carries_what_one_decode_pass_tells(project: Project, tmp_path: Path) -> None:
    scenes = [*moving_scene(1, 24, 96, 128), *moving_scene(2, 24, 96, 128)]
    path = write_video(tmp_path / "film.mp4", scenes, rate=Fraction(24000, 1001))
    take_footage(project, path)
    asset = _asset(project, path)
    assert (asset.width, asset.height, asset.num_frames) == (128, 96, 48)
    assert (asset.frame_rate, asset.is_variable_frame_rate) == (Fraction(24000, 1001), Tri.NO)
    assert asset.duration_seconds == pytest.approx(48 * 1001 / 24000)
    with project.session() as session:
        (found,) = queries.evidence_on(session, [asset], IDENTITY.digest, "d" * 64)
    assert found.paths == (str(path),)
    assert found.clips[0].start_pts == 0
    for one, following in zip(found.clips, found.clips[1:], strict=False):
        assert one.end_pts == following.start_pts
    assert found.clips[-1].end_seconds == pytest.approx(asset.duration_seconds)
    for clip in found.clips:
        assert clip.clip_id == clip_id(asset.sha256, clip.start_pts, clip.end_pts, asset.time_base)


def test_pictures_between_the_rows_are_kept_for_the_comparison(project: Project, tmp_path: Path) -> None:
    """Footage was scanned at 2 pictures a second, the comparison was measured with 10."""
    path = write_video(tmp_path / "film.mp4", moving_scene(1, 48, 96, 128), rate=24)
    take_footage(project, path)
    store, sha256 = VectorStore(project.vectors), _asset(project, path).sha256
    vectors = store.read(sha256, IDENTITY)
    assert vectors.seconds_N[vectors.of_view(0)].tolist() == [0.0, 0.5, 1.0, 1.5]
    assert len(store.stills(sha256, IDENTITY, 0).seconds_S) == 20


def test_the_same_files_again_change_nothing(project: Project, tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "a.mp4", "b.mp4", seconds=1)
    (tmp_path / "footage" / "broken.mp4").write_bytes(b"no video" * 100)
    first = take_footage(project, tmp_path / "footage")
    assert _intakes(first) == {"a.mp4": Intake.NEW, "b.mp4": Intake.NEW, "broken.mp4": Intake.REJECTED}
    with project.session() as session:
        before = [event for event in list_events(session) if event.kind != "search.done"]
    again = take_footage(project, tmp_path / "footage")
    assert _intakes(again) == {"a.mp4": Intake.KNOWN, "b.mp4": Intake.KNOWN, "broken.mp4": Intake.REJECTED}
    assert [file.asset_id for file in again] == [file.asset_id for file in first]
    with project.session() as session:
        assert [event for event in list_events(session) if event.kind != "search.done"] == before


def test_the_same_bytes_under_two_names_are_one_asset_with_two_paths(
    project: Project, tmp_path: Path
) -> None:
    write_footage(tmp_path / "footage", "a.mp4", seconds=1)
    shutil.copyfile(tmp_path / "footage" / "a.mp4", tmp_path / "footage" / "b.mp4")
    files = take_footage(project, tmp_path / "footage")
    assert len({file.asset_id for file in files}) == 1
    with project.session() as session:
        paths = queries.asset_paths(session, [file.asset_id for file in files if file.asset_id])
    assert [len(found) for found in paths.values()] == [2]
    assert _num_events(project, "asset.ingested") == 1


def test_a_known_asset_that_joins_a_reference_set_is_new_there(project: Project, tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "a.mp4", seconds=1)
    take_footage(project, tmp_path / "footage")
    assert _intakes(take_footage(project, tmp_path / "footage", reference="blocked")) == {"a.mp4": Intake.NEW}
    assert _num_events(project, "asset.ingested") == 1


@pytest.mark.parametrize("damage", ["deleted vectors", "no record"])
def test_what_a_killed_command_left_undone_is_done_again(
    project: Project, tmp_path: Path, damage: str
) -> None:
    write_footage(tmp_path / "footage", "a.mp4", seconds=1)
    path = tmp_path / "footage" / "a.mp4"
    store, sha256 = VectorStore(project.vectors), file_digest(path).sha256
    if damage == "no record":
        # Vectors are written first; this is all that a kill before the transaction leaves.
        other = bootstrap(tmp_path / "other").project
        take_footage(other, path)
        left = store.path(sha256, IDENTITY)
        left.parent.mkdir(parents=True)
        shutil.copyfile(VectorStore(other.vectors).path(sha256, IDENTITY), left)
    else:
        take_footage(project, path)
        store.path(sha256, IDENTITY).unlink()
    assert _intakes(take_footage(project, path)) == {"a.mp4": Intake.NEW}
    assert len(store.read(sha256, IDENTITY).of_view(0)) == 2
    assert _num_events(project, "asset.ingested") == 1


def test_one_bad_file_does_not_stop_the_others(project: Project, tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "a.mp4", "m.mp4", "z.mp4", seconds=1)
    truncate_file(tmp_path / "footage" / "m.mp4", 0.5)
    files = {file.path.name: file for file in take_footage(project, tmp_path / "footage")}
    assert (files["a.mp4"].intake, files["z.mp4"].intake) == (Intake.NEW, Intake.NEW)
    assert files["m.mp4"].intake is Intake.REJECTED
    with project.session() as session:
        (rejection,) = rejected_files(session)
    assert rejection.subject == str(tmp_path / "footage" / "m.mp4")
    assert rejection.code == files["m.mp4"].code


def test_a_rejected_file_that_was_mended_is_no_longer_a_finding(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "footage" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"")
    take_footage(project, path.parent)
    write_footage(path.parent, "a.mp4", seconds=1)
    assert _intakes(take_footage(project, path.parent)) == {"a.mp4": Intake.NEW}
    with project.session() as session:
        assert list(rejected_files(session)) == []


class _Meddler(ColourEncoder):
    """An encoder during whose work somebody writes to the footage."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        with self._path.open("ab") as file:
            file.write(b"more")
        return super().embed(images)


def test_a_file_that_changes_while_it_is_read_is_rejected(project: Project, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_scene(1, 12, 96, 128), rate=12)
    with project.session() as session:
        library = evidence.ensure_collection(session, evidence.LIBRARY, CollectionKind.LIBRARY)
    (file,) = take_in(project, [path], collection_id=library, encoder=_Meddler(path))
    assert (file.intake, file.code) == (Intake.REJECTED, "media.changed")
    assert _num_events(project, "asset.ingested") == 0


def test_a_full_disk_is_not_blamed_on_the_footage(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_footage(tmp_path / "footage", "a.mp4", seconds=1)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device", str(project.vectors))

    monkeypatch.setattr(VectorStore, "write", full)
    with pytest.raises(OSError, match="No space left"):
        take_footage(project, tmp_path / "footage")
    assert _num_events(project, "file.rejected") == 0
    monkeypatch.undo()
    assert _intakes(take_footage(project, tmp_path / "footage")) == {"a.mp4": Intake.NEW}


class _Deadly(ColourEncoder):
    """An encoder whose process dies over red pictures."""

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        if images[0][..., 0].min() > 200 > images[0][..., 1].max():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(images)


def _take_with_two(project: Project, *paths: Path, opener: Opener = ColourEncoder) -> list[TakenFile]:
    with project.session() as session:
        library = evidence.ensure_collection(session, evidence.LIBRARY, CollectionKind.LIBRARY)
    taken = take_in(
        project, paths, collection_id=library, encoder=ColourEncoder(), num_workers=2, opener=opener
    )
    return sorted(taken, key=lambda file: file.path)


def test_several_processes_find_what_one_does(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    write_footage(footage, "a.mp4", "b.mp4", "d.mp4", seconds=1)
    shutil.copyfile(footage / "a.mp4", footage / "c.mp4")
    (footage / "broken.mp4").write_bytes(b"no video" * 100)
    one, two = (bootstrap(tmp_path / name).project for name in ("one", "two"))
    alone = [dataclasses.replace(file, asset_id=None) for file in take_footage(one, footage)]
    together = _take_with_two(two, footage)
    assert [dataclasses.replace(file, asset_id=None) for file in together] == sorted(
        alone, key=lambda file: file.path
    )
    assert _intakes(together)["c.mp4"] is Intake.KNOWN
    assert _num_events(two, "asset.ingested") == 3
    for name in ("a.mp4", "b.mp4", "d.mp4"):
        sha256 = file_digest(footage / name).sha256
        one_has, two_has = (VectorStore(project.vectors).read(sha256, IDENTITY) for project in (one, two))
        assert one_has.vectors_ND.tobytes() == two_has.vectors_ND.tobytes()
    assert set(_intakes(_take_with_two(two, footage)).values()) == {Intake.KNOWN, Intake.REJECTED}


def test_only_the_file_that_kills_its_reader_is_rejected(project: Project, tmp_path: Path) -> None:
    """A decoder that crashed, or memory that ran out, ended the whole command."""
    footage = tmp_path / "footage"
    write_footage(footage, "a.mp4", "b.mp4", "z.mp4", seconds=1)
    write_video(footage / "m.mp4", flat_scene((250, 10, 10), 12, 96, 128), rate=12)
    files = {file.path.name: file for file in _take_with_two(project, footage, opener=_Deadly)}
    assert (files["m.mp4"].intake, files["m.mp4"].code) == (Intake.REJECTED, "media.crashed")
    assert "SIGKILL" in files["m.mp4"].detail
    assert {files[name].intake for name in ("a.mp4", "b.mp4", "z.mp4")} == {Intake.NEW}


def test_a_worker_with_another_encoder_does_not_serve(project: Project) -> None:
    """Its vectors would lie where nobody looks for them."""
    with pytest.raises(EncoderError, match="changed"):
        readers._prepare(project.vectors, project.settings, ColourEncoder, "0" * 64)


def _sound_on_record(project: Project, path: Path) -> SoundRecord | None:
    with project.session() as session:
        return sound_of(session, _asset(project, path).id, SOUND_ENGINE_DIGEST)


@needs_engine
def test_sound_is_fingerprinted_once(project: Project, tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 1, tones(1, 6), SAMPLE_RATE)
    (file,) = take_footage(project, path)
    assert file.sound is not None
    assert file.sound.code == ""
    assert file.sound.num_items == pytest.approx(27, abs=2)
    printed = reading.sound_store(project.vectors).read(_asset(project, path).sha256)
    assert printed.num_items == file.sound.num_items
    assert take_footage(project, path) == [dataclasses.replace(file, intake=Intake.KNOWN)]


def test_a_film_without_sound_is_on_record_as_that(project: Project, tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "a.mp4", seconds=1)
    (file,) = take_footage(project, tmp_path / "footage")
    assert file.sound is not None
    assert file.sound.code == "sound.none"
    found = _sound_on_record(project, file.path)
    assert found is not None
    assert found.code == "sound.none"


@needs_engine
@pytest.mark.parametrize("lack", ["engine", "file"])
def test_a_known_asset_gets_the_fingerprint_it_lacks(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    """What a machine without the library could not do is done on one that has it."""
    path = write_film(tmp_path / "film.mp4", 1, tones(1, 5), SAMPLE_RATE)
    if lack == "engine":
        with monkeypatch.context() as missing:
            missing.setattr(reading, "open_engine", _no_engine)
            missing.setattr(sound, "open_engine", _no_engine)
            (file,) = take_footage(project, path)
            assert file.sound is not None
            assert file.sound.code == "sound.engine_missing"
            assert take_footage(project, path) == [dataclasses.replace(file, intake=Intake.KNOWN)]
        assert _sound_on_record(project, path) is None
    else:
        take_footage(project, path)
        reading.sound_store(project.vectors).path(_asset(project, path).sha256).unlink()
    monkeypatch.setattr(reading, "scan_pictures", None)  # they are not decoded again
    (file,) = take_footage(project, path)
    assert file.intake is Intake.KNOWN
    assert file.sound is not None
    assert file.sound.code == ""
    assert reading.sound_store(project.vectors).has(_asset(project, path).sha256)


def _no_engine() -> None:
    raise EngineMissing("the library is missing")


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_outside_utf8_goes_in(project: Project, tmp_path: Path) -> None:
    write_footage(tmp_path, "a.mp4", seconds=1)
    path = tmp_path / os.fsdecode(b"f\xe9te.mp4")
    (tmp_path / "a.mp4").rename(path)
    (file,) = take_footage(project, path)
    assert file.intake is Intake.NEW


def test_a_clip_id_follows_from_bytes_and_span_alone() -> None:
    """A golden value: snapshots already sealed name their clips by it."""
    asset = "0123456789abcdef" * 4
    assert clip_id(asset, 0, 90_000, Fraction(1, 90_000)) == "b00d110d2eb13463"
    assert clip_id(asset, 0, 90_001, Fraction(1, 90_000)) != "b00d110d2eb13463"


def test_only_candidates_are_counted(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mov", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    counted: list[int] = []
    assert count_sources([tmp_path], counted.append) == 2
    assert counted == [1, 2]
