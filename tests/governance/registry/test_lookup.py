"""A clip that lost its credentials is told again: by its essence, by a likeness, or not at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.credentials import NewCredential, add_credential
from db.errors import ConfigError
from db.project import Project
from governance.bootstrap import bootstrap
from governance.errors import VerificationError
from governance.registry.kept_stores import keep_store, store_path
from governance.registry.lookup import Registry
from governance.verification.verdict import Binding
from ingest.attacks.copies import Crop, Mirror, Reencode, Resize, write_copy
from ingest.errors import MediaError
from ingest.media.essence import essence_digest
from ingest.pictures.picture_prints import picture_prints
from ingest.watermark.binding import open_project_trustmark
from ingest.watermark.keys import WATERMARK_KEY_FILE, load_watermark_key, write_watermark_key
from ingest.watermark.marking import mark_frames
from ingest.watermark.trustmark import TrustMark, open_trustmark
from tests.db.outputs_maker import add_model, add_output
from tests.ingest.media.test_essence import remux
from tests.ingest.watermark.marked import MARK_ID, encoded, scene_frames
from tests.ingest.watermark.trustmark_files import NAMES, make_say, pin, write_trustmark_files
from tests.library import write_footage
from tests.media import moving_scene

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three published clips on record, `a`, `b` and the marked `m`; `c` is nobody's."""
    root = tmp_path_factory.mktemp("registry")
    made = bootstrap(root / "project").project
    write_footage(root, "a.mp4", "b.mp4", "c.mp4", seconds=3)
    key = load_watermark_key(made.keys / WATERMARK_KEY_FILE)
    encoded(root / "m.mp4", list(mark_frames(scene_frames(48), MARK_ID, key)))
    with made.session() as session:
        model_id = add_model(session)
        for name in ("a", "b", "m"):
            path = root / f"{name}.mp4"
            new = NewCredential(
                manifest_label=f"urn:c2pa:{name}",
                store_sha256=keep_store(made, f"store of {name}".encode()),
                essence_sha256=essence_digest(path),
                mark_id=f"{MARK_ID:016x}" if name == "m" else None,
                screen=None,
                prints=picture_prints(path),
            )
            add_credential(session, add_output(session, model_id, f"urn:{name}"), f"urn:{name}", new)
    return made


def clip(project: Project, name: str) -> Path:
    return project.root.parent / name


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_another_container_is_a_hard_binding(project: Project, tmp_path: Path, container: str) -> None:
    found = Registry(project).recover(remux(clip(project, "a.mp4"), tmp_path / f"x.{container}"))
    assert found is not None
    assert (found.binding, found.clip_urn, found.store) == (Binding.HARD, "urn:a", b"store of a")


def test_encoded_again_it_is_a_likeness(project: Project, tmp_path: Path) -> None:
    write_copy(clip(project, "b.mp4"), tmp_path / "x.mp4", transforms=[Resize(0.5), Reencode(crf=30)])
    found = Registry(project).recover(tmp_path / "x.mp4")
    assert found is not None
    assert (found.binding, found.clip_urn, found.manifest_label) == (
        Binding.FINGERPRINT,
        "urn:b",
        "urn:c2pa:b",
    )
    assert "6 of 6 pictures" in found.certainty
    assert "not a proof" in found.certainty


def test_a_crop_that_looks_like_nothing_known_is_told_by_its_mark(project: Project, tmp_path: Path) -> None:
    write_copy(clip(project, "m.mp4"), tmp_path / "x.mp4", transforms=[Crop(0.86), Reencode(crf=26)])
    found = Registry(project).recover(tmp_path / "x.mp4")
    assert found is not None
    assert (found.binding, found.clip_urn, found.store) == (Binding.WATERMARK, "urn:m", b"store of m")
    assert f"carry the number {MARK_ID:016x}" in found.certainty
    assert "of 4 pictures are like the clip's own" in found.certainty


def test_older_keys_are_read_with(project: Project, tmp_path: Path) -> None:
    current = project.keys / WATERMARK_KEY_FILE
    older = current.with_name("watermark-2025.key")
    current.rename(older)
    try:
        with pytest.raises(ConfigError, match=r"watermark\.key: missing"):
            Registry(project).recover(clip(project, "c.mp4"))
        write_watermark_key(current)
        write_copy(clip(project, "m.mp4"), tmp_path / "x.mp4", transforms=[Crop(0.86), Reencode(crf=26)])
        found = Registry(project).recover(tmp_path / "x.mp4")
    finally:
        older.replace(current)
    assert found is not None
    assert found.binding is Binding.WATERMARK


def test_a_mark_of_trustmark_is_read_where_the_project_marks_with_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trustmark", reason="the package trustmark is not installed")
    film = encoded(tmp_path / "x.mp4", _other_scene())
    pin(write_trustmark_files(tmp_path / "weights"), monkeypatch)
    settings = dataclasses.replace(project.settings, watermark=f"trustmark:P@{tmp_path / 'weights'}")
    marking = dataclasses.replace(project, settings=settings)
    assert Registry(marking).recover(film) is None
    trustmark = open_project_trustmark(marking)
    assert isinstance(trustmark, TrustMark)
    make_say(trustmark, MARK_ID)
    found = Registry(marking).recover(film)
    open_trustmark.cache_clear()
    assert found is not None
    assert (found.binding, found.clip_urn) == (Binding.WATERMARK, "urn:m")
    assert "nobody has shown how often chance gives one; 0 of " in found.certainty
    assert Registry(project).recover(film) is None
    (tmp_path / "weights" / NAMES[2]).unlink()
    with pytest.raises(ConfigError, match=r"decoder_P\.ckpt: missing"):
        Registry(marking).recover(film)


def test_a_mark_of_nobody_on_record_says_nothing(project: Project, tmp_path: Path) -> None:
    key = load_watermark_key(project.keys / WATERMARK_KEY_FILE)
    stranger = encoded(tmp_path / "x.mp4", list(mark_frames(_other_scene(), MARK_ID + 1, key)))
    assert Registry(project).recover(stranger) is None


def _other_scene() -> list[NDArray[np.uint8]]:
    return list(moving_scene(77, 48, 256, 256))


def test_nobodys_clip_is_not_found(project: Project, tmp_path: Path) -> None:
    assert Registry(project).recover(clip(project, "c.mp4")) is None
    write_copy(clip(project, "a.mp4"), tmp_path / "mirrored.mp4", transforms=[Mirror()])
    assert Registry(project).recover(tmp_path / "mirrored.mp4") is None


def test_what_is_no_film_is_said(project: Project, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError):
        Registry(project).recover(tmp_path / "x.mp4")


def test_a_store_that_was_changed_is_refused(project: Project, tmp_path: Path) -> None:
    path = store_path(project, keep_store(project, b"store of a"))
    path.write_bytes(b"another one")
    with pytest.raises(VerificationError, match="changed"):
        Registry(project).recover(clip(project, "a.mp4"))
    path.write_bytes(b"store of a")
