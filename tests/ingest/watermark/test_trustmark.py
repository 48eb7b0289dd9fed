"""TrustMark through its real loader, with random weights: nothing is fetched, and nothing else is loaded.

What its own weights survive is not tested: they are in no package, and have to be fetched.
"""

from __future__ import annotations

import dataclasses
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest

from db.errors import ConfigError, UndecidedError
from db.project import Project
from governance.bootstrap import bootstrap
from ingest.errors import MediaError
from ingest.watermark.binding import SpreadSpectrum, open_project_trustmark, open_soft_binding
from ingest.watermark.trustmark_payload import payload_of
from tests.ingest.watermark.marked import MARK_ID, encoded, scene_frames
from tests.ingest.watermark.trustmark_files import NAMES, VARIANT, make_say, pin, write_trustmark_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.watermark.trustmark import TrustMark

pytest.importorskip("trustmark", reason="the package trustmark is not installed")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's files with random weights."""
    return write_trustmark_files(tmp_path_factory.mktemp("trustmark") / "weights")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail at the first connection, and at the end if one was tried where the error could be swallowed."""
    from ingest.watermark.trustmark import open_trustmark

    tried: list[str] = []

    def refuse(*arguments: object, **_: object) -> NoReturn:
        tried.append(repr(arguments))
        raise OSError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlretrieve", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    open_trustmark.cache_clear()
    yield
    open_trustmark.cache_clear()
    assert tried == []


@pytest.fixture
def trustmark(files: Path, monkeypatch: pytest.MonkeyPatch) -> TrustMark:
    from ingest.watermark.trustmark import open_trustmark

    pin(files, monkeypatch)
    return open_trustmark(VARIANT, files, "cpu")


def copied(files: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes((files / name).read_bytes())
    return folder


@pytest.mark.parametrize("size", [(64, 64), (72, 128), (301, 199)])
def test_marking_changes_the_picture_and_keeps_its_size(trustmark: TrustMark, size: tuple[int, int]) -> None:
    frames = [frame[: size[0], : size[1]] for frame in scene_frames(2, side=320)]
    marked = list(trustmark.mark_frames(frames, MARK_ID))
    assert [(one.shape, one.dtype) for one in marked] == [((*size, 3), np.dtype(np.uint8))] * 2
    assert all((one != frame).any() for one, frame in zip(marked, frames, strict=True))


def test_frames_are_marked_one_by_one(trustmark: TrustMark) -> None:
    asked = 0

    def frames() -> Iterator[NDArray[np.uint8]]:
        nonlocal asked
        for frame in scene_frames(3, side=64):
            asked += 1
            yield frame

    marked = trustmark.mark_frames(frames(), MARK_ID)
    assert asked == 0
    next(marked)
    assert asked == 1


def test_the_network_is_given_the_id_with_its_correction(trustmark: TrustMark) -> None:
    given: list[NDArray[np.float32]] = []
    engine: Any = trustmark._engine
    engine.encoder.register_forward_pre_hook(lambda _module, inputs: given.append(inputs[1].numpy()))
    next(trustmark.mark_frames(scene_frames(1, side=64), MARK_ID))
    assert engine.ecc.decode_bitstream(given[0], "binary") == [(payload_of(MARK_ID), True, 2)]


def test_what_is_no_picture_is_refused(trustmark: TrustMark) -> None:
    with pytest.raises(ConfigError, match="64 bits"):
        trustmark.mark_frames([], 1 << 64)
    for frame, said in (
        (np.zeros((64, 64), np.uint8), "luma alone"),
        (np.zeros((64, 64, 4), np.uint8), "expected uint8 RGB"),
        (np.zeros((8, 64, 3), np.uint8), "too small"),
    ):
        with pytest.raises(ConfigError, match=said):
            next(trustmark.mark_frames([frame], MARK_ID))


def test_a_film_without_a_mark_gives_no_id(trustmark: TrustMark, tmp_path: Path) -> None:
    reading = trustmark.read_mark(encoded(tmp_path / "plain.mp4", scene_frames(24, side=128)))
    assert (reading.is_found, reading.mark_id, reading.false_positive_bound) == (False, None, None)
    assert reading.num_frames == 8
    assert reading.seconds_read == pytest.approx(1)


def test_what_frames_say_is_corrected_and_counted(trustmark: TrustMark, tmp_path: Path) -> None:
    """One frame of four is noise and loses; two frames are too few to say anything."""
    make_say(trustmark, MARK_ID)
    path = encoded(tmp_path / "film.mp4", scene_frames(24, side=128))
    assert trustmark.read_mark(path).mark_id == MARK_ID
    assert trustmark.read_mark(path, max_seconds=0.25).mark_id is None


def test_a_mark_of_another_schema_is_not_ours(trustmark: TrustMark) -> None:
    engine: Any = trustmark._engine
    engine.decode = lambda *_args, **_named: (payload_of(MARK_ID), True, 3)
    assert trustmark._id_in(np.zeros((64, 64, 3), np.uint8)) is None


def test_what_cannot_be_read_says_so(trustmark: TrustMark, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"not a film")
    with pytest.raises(MediaError):
        trustmark.read_mark(tmp_path / "x.mp4")
    with pytest.raises(ConfigError, match="cannot read 0 seconds"):
        trustmark.read_mark(tmp_path / "x.mp4", max_seconds=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_and_not_fetched(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from ingest.watermark.trustmark import open_trustmark

    pin(files, monkeypatch)
    folder = copied(files, tmp_path / "weights")
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=rf"weights/{name}: missing") as caught:
        open_trustmark(VARIANT, folder, "cpu")
    assert "nothing is fetched" in str(caught.value.hint)
    assert not (folder / name).exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"something else"])
def test_a_file_of_another_make_is_not_loaded(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    from ingest.watermark.trustmark import open_trustmark

    pin(files, monkeypatch)
    folder = copied(files, tmp_path / "weights")
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name}: is not TrustMark's own file: its MD5 is"):
        open_trustmark(VARIANT, folder, "cpu")
    assert (folder / name).read_bytes() == content


def test_without_a_patch_random_weights_are_refused(files: Path) -> None:
    from ingest.watermark.trustmark import open_trustmark

    with pytest.raises(ConfigError, match="expected fe40df84a7feeebfceb7a7678d7e6ec6"):
        open_trustmark(VARIANT, files, "cpu")


def test_weights_that_cannot_be_loaded_leave_it_open(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingest.watermark.trustmark import open_trustmark

    folder = copied(files, tmp_path / "weights")
    (folder / NAMES[1]).write_bytes(b"not a checkpoint")
    pin(folder, monkeypatch)
    with pytest.raises(UndecidedError, match="cannot be loaded"):
        open_trustmark(VARIANT, folder, "cpu")


def test_loading_prints_nothing_and_writes_nothing(
    trustmark: TrustMark, capsys: pytest.CaptureFixture[str]
) -> None:
    import trustmark as package

    assert capsys.readouterr().out == ""
    assert [path.name for path in (Path(package.__file__).parent / "models").iterdir()] == ["README.md"]


def test_without_the_library_it_says_what_to_install(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.watermark.trustmark import open_trustmark

    monkeypatch.setitem(sys.modules, "trustmark", None)
    with pytest.raises(UndecidedError, match="TrustMark cannot be used") as caught:
        open_trustmark(VARIANT, files, "cpu")
    assert caught.value.hint == "pip install 'cleartitle[trustmark]'"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def having(project: Project, watermark: str) -> Project:
    return dataclasses.replace(project, settings=dataclasses.replace(project.settings, watermark=watermark))


def test_a_project_has_the_method_it_names(
    project: Project, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(files, monkeypatch)
    assert open_project_trustmark(project) is None
    assert isinstance(open_soft_binding(project), SpreadSpectrum)
    assert open_soft_binding(having(project, f"trustmark:P@{files}")).alg == "com.adobe.trustmark.P"
    files_beside = copied(files, project.root / "weights")
    assert files_beside.is_dir()
    assert open_soft_binding(having(project, "trustmark:P@weights")).alg == "com.adobe.trustmark.P"


@pytest.mark.parametrize(
    "spec", ["", "ss1", "trustmark", "trustmark:B@x", "trustmark:P", "trustmark:P@", "trustmark:PQ@x"]
)
def test_other_words_are_refused(project: Project, spec: str) -> None:
    with pytest.raises(ConfigError, match="not understood"):
        open_soft_binding(having(project, spec))


def test_a_project_whose_weights_are_gone_neither_marks_nor_reads(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"weights/trustmark_Q\.yaml: missing"):
        open_soft_binding(having(project, "trustmark:Q@weights"))
