"""Folders, many files, many processes."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.errors import UndecidedError
from governance.credentials.engine import sign_embedded
from governance.signing.keys import TRUST_ANCHOR_FILE
from governance.verification import folders
from governance.verification.folders import FoundFiles, Request, verify_all
from governance.verification.verdict import Recovered, VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.cli import Answer, cleartitle
from tests.governance.mp4_surgery import flip, span_of
from tests.governance.signed_chain import SignedChain

PASS, FAIL, NO_MANIFEST = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.NO_MANIFEST


@pytest.fixture
def library(signed_chain: SignedChain, tmp_path: Path) -> Path:
    """Two clips, one changed, with all kinds of neighbours."""
    root = tmp_path / "library"
    (root / "b" / "deep").mkdir(parents=True)
    (root / ".cache").mkdir()
    data = signed_chain.clip.read_bytes()
    (root / "b" / "deep" / "clip.mp4").write_bytes(data)
    (root / "b" / "changed.mov").write_bytes(flip(data, span_of(data, "mdat")[1] - 5))
    (root / "z.txt").write_bytes(data)  # a wrong extension does not matter
    (root / "notes.txt").write_text("text")
    (root / "table.json").write_text("{}")
    (root / ".cache" / "clip.mp4").write_bytes(data)
    (root / ".hidden.mp4").write_bytes(data)
    shutil.copy(signed_chain.weights, root / "w.safetensors")
    shutil.copy(sidecar_of(signed_chain.weights), root / "w.safetensors.c2pa")
    shutil.copy(signed_chain.weights, root / "bare.safetensors")
    return root


def test_folders_are_searched_in_order_and_say_what_they_pass_over(library: Path) -> None:
    found = FoundFiles([library])
    names = [str(path.relative_to(library)) for path in found]
    assert names == ["bare.safetensors", "w.safetensors", "z.txt", "b/changed.mov", "b/deep/clip.mp4"]
    assert found.num_skipped == 2


def test_files_are_taken_as_they_are_named(library: Path) -> None:
    named = [library / "notes.txt", library / ".hidden.mp4", library / "gone.mp4"]
    assert list(FoundFiles(named)) == named


def test_links_to_folders_are_not_followed(library: Path) -> None:
    (library / "b" / "round").symlink_to(library, target_is_directory=True)
    assert len(list(FoundFiles([library]))) == 5


def test_a_file_that_cannot_be_read_is_told(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError("no")

    monkeypatch.setattr("governance.verification.folders.can_carry", refuse)
    assert library / "notes.txt" in list(FoundFiles([library]))


def _copies(chain: SignedChain, folder: Path, count: int) -> list[Path]:
    """Copies of the clip, each ninth without credentials."""
    folder.mkdir()
    paths = [folder / f"{number:03}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        os.link(chain.unsigned_clip if number % 9 == 8 else chain.clip, path)
    return paths


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes for a handful of files."""
    monkeypatch.setattr(folders, "_FEW_FILES", 4)


@pytest.mark.usefixtures("few")
def test_processes_give_the_same_verdicts_in_the_same_order(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    paths = _copies(signed_chain, tmp_path / "many", 36)
    request = Request(trust=signed_chain.signer.trust)
    together = list(verify_all(iter(paths), request, num_processes=2))
    assert together == [verify_file(path, signed_chain.signer.trust) for path in paths]
    assert [verdict.outcome for verdict in together[:10]] == [*[PASS] * 8, NO_MANIFEST, PASS]


@pytest.mark.usefixtures("few")
def test_paths_are_taken_as_they_are_needed_and_who_stops_early_leaves_no_process(
    signed_chain: SignedChain,
) -> None:
    """Otherwise a library of millions of files would be listed before the first is verified."""
    taken, before = 0, set(multiprocessing.active_children())

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield signed_chain.clip

    verdicts = verify_all(endless(), Request(trust=signed_chain.signer.trust), num_processes=2)
    next(verdicts)
    assert taken < 100
    children = set(multiprocessing.active_children()) - before
    assert children
    # Not by joining: the pool's own thread may have collected a process an instant before, and then `is_alive`
    # says that it lives on.
    ends = [child.sentinel for child in children]
    verdicts.close()
    for end in ends:
        assert multiprocessing.connection.wait([end], 120)


def _die(_path: Path) -> Recovered | None:
    os._exit(9)


@pytest.mark.usefixtures("few")
def test_a_process_that_is_killed_is_said_and_not_waited_for(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    paths = _copies(signed_chain, tmp_path / "many", 12)
    request = Request(trust=signed_chain.signer.trust, recover=_die)
    with pytest.raises(UndecidedError, match="was killed"):
        list(verify_all(paths, request, num_processes=2))


# Kinds.


def test_sound_and_pictures_are_read(signed_chain: SignedChain, tmp_path: Path) -> None:
    """They carry no chain of ours, so they do not pass; that they are intact or changed is told apart."""
    signer = signed_chain.signer
    action = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    manifest = {
        "title": "other",
        "claim_generator_info": [{"name": "test", "version": "1", "specVersion": "2.4.0"}],
        "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": {"actions": [action]}}],
    }
    for name, media_type in (
        ("a.wav", "audio/wav"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.avi", "video/avi"),
        ("a.m4a", "audio/mp4"),
    ):
        source, signed = tmp_path / f"unsigned-{name}", tmp_path / f"{name}.dat"
        _write_media(source)
        assert verify_file(source, signer.trust).outcome is NO_MANIFEST, name
        sign_embedded(
            manifest, source, signed, media_type=media_type, identity=signer.identity, trust=signer.trust
        )
        verdict = verify_file(signed, signer.trust)
        assert {failure.code for failure in verdict.failures} == {"chain.missing"}, name
        assert verdict.credentials is not None
        assert verdict.credentials.state == "Trusted"
        signed.write_bytes(flip(signed.read_bytes(), _media_byte(signed.read_bytes(), name)))
        codes = {failure.code for failure in verify_file(signed, signer.trust).failures}
        assert any(code.endswith("Hash.mismatch") for code in codes), (name, codes)


def _media_byte(data: bytes, name: str) -> int:
    """A place in the content, outside the manifest."""
    marks = {
        "wav": b"data",
        "png": b"IDAT",
        "jpg": b"\xff\xda",
        "webp": b"VP8",
        "avi": b"movi",
        "m4a": b"mdat",
    }
    return (data.rindex if name == "a.jpg" else data.index)(marks[name[2:]]) + 14


def _write_media(path: Path) -> None:
    import av
    import numpy as np

    suffix = path.suffix
    if suffix in {".wav", ".m4a"}:
        codec = "pcm_s16le" if suffix == ".wav" else "aac"
        with av.open(str(path), "w") as container:
            sound = container.add_stream(codec, rate=8000)
            assert isinstance(sound, av.AudioStream)
            samples = (np.sin(np.arange(8000) / 9) * 9000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
            frame.sample_rate = 8000
            for packet in (*sound.encode(frame), *sound.encode(None)):
                container.mux(packet)
        return
    if suffix == ".avi":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            picture = np.full((48, 64, 3), 90, dtype=np.uint8)
            for _ in range(3):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        return
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


# The command.


@pytest.fixture
def trust_file(signed_chain: SignedChain, tmp_path: Path) -> Path:
    path = tmp_path / TRUST_ANCHOR_FILE
    path.write_bytes(signed_chain.signer.trust.pem)
    return path


def _verify(library: Path, trust_file: Path, *options: str | Path) -> Answer:
    return cleartitle("verify", *options, "--trust", trust_file, cwd=library.parent)


def test_of_many_files_what_passes_is_only_counted(library: Path, trust_file: Path) -> None:
    answer = _verify(library, trust_file, library.name)
    assert answer.exit_code == 1
    shown = [
        line.split()[-1]
        for line in answer.stdout.splitlines()
        if line.startswith(("PASS  ", "FAIL  ", "NO "))
    ]
    assert [Path(name).name for name in shown if "/" in name] == ["bare.safetensors", "changed.mov"]
    counts = {line.rsplit(None, 1)[0]: line.split()[-1] for line in answer.stdout.splitlines()[-4:]}
    assert counts == {"PASS": "3", "FAIL": "1", "NO MANIFEST": "1", "all": "5"}
    assert "passed over: 2 files" in answer.stderr
    assert max(len(line) for line in answer.stdout.splitlines()) <= 100


def test_all_shows_those_that_pass_too(library: Path, trust_file: Path) -> None:
    answer = _verify(library, trust_file, library, "--all")
    assert answer.stdout.count("\nPASS  /") == 3


def test_json_is_one_object_for_each_file(library: Path, trust_file: Path) -> None:
    answer = _verify(library, trust_file, library, "--json", "--jobs", "1")
    assert [line["outcome"] for line in answer.json_lines()] == [
        "no_manifest",
        "pass",
        "pass",
        "fail",
        "pass",
    ]
    failure = answer.json_lines()[3]["failures"][0]
    assert (failure["code"], failure["depth"]) == ("assertion.bmffHash.mismatch", 0)
    assert failure["link"].startswith("urn:c2pa:")


def test_a_folder_with_nothing_to_verify_is_undecided(tmp_path: Path, trust_file: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = _verify(tmp_path / "empty", trust_file, tmp_path / "empty")
    assert answer.exit_code == 3
    assert "nothing to verify" in answer.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interruption_ends_all_processes_at_once(
    signed_chain: SignedChain, tmp_path: Path, trust_file: Path
) -> None:
    """The exit code is that of an interruption, and nobody is left to go on with some thousand files."""
    _copies(signed_chain, tmp_path / "many", 3000)
    arguments = ["verify", tmp_path / "many", "--trust", trust_file, "--jobs", "2", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "cleartitle", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert b"outcome" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout.count(b"\n") < 2000
    assert b"Traceback" not in stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_on(signed_chain: SignedChain, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    verdict = verify_file(tmp_path / "pipe.mp4", signed_chain.signer.trust)
    assert verdict.outcome is VerdictOutcome.UNREADABLE
    assert "pipe" in verdict.failures[0].reason


def test_a_name_that_is_too_long_costs_no_other_file_its_verdict(signed_chain: SignedChain) -> None:
    files = FoundFiles([Path("a" * 300), signed_chain.clip])
    request = Request(trust=signed_chain.signer.trust)
    outcomes = [verdict.outcome for verdict in verify_all(files, request, num_processes=1)]
    assert outcomes == [VerdictOutcome.UNREADABLE, VerdictOutcome.PASS]
