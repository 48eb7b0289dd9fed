"""Longer clips, loops, first frames, continued and varied clips: drawn, signed, verified, and the same every time."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from db.errors import AnsweredUndecided, ConfigError, RefusedError, UndecidedError
from db.project import Project
from db.vocabularies import OutputConstraint
from governance.conformance.examination import examine
from governance.credentials.engine import read_store
from governance.credentials.store import assertion_data
from governance.manifests.manifest import ACTIONS_LABEL, CLIP_LABEL, CLIP_MEDIA_TYPE
from governance.signing.signers import load_project_trust
from governance.snapshots.output_clauses import OutputClause
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from ingest.media.digests import file_digest
from tests.media import flip_byte
from tests.training.screener import SayingScreen, passing
from tests.training.trained_library import CONFIG
from training.generation import commands
from training.generation.drawing import draw
from training.generation.generator import Generator, open_generator
from training.generation.holding import HeldClip, let_through, list_held
from training.generation.publish import PublishedClip, publish_clip
from training.generation.request import ClipRequest, SourceUse, state_clip
from training.generation.sequence import step_sizes
from training.generation.source import Source, open_source
from training.screening.result import ScreenOutcome

ANY: dict[str, Any] = {"prompt": "the sea", "seed": 3, "height": 64, "width": 64}


@pytest.fixture
def generator(project: Project) -> Generator:
    return open_generator(project, "model", open_screener=passing)


@pytest.fixture
def clip(project: Project, generator: Generator) -> Path:
    """A clip of ours."""
    made = publish_clip(project, generator, ClipRequest(**ANY), folder=project.outputs)
    assert isinstance(made, PublishedClip)
    return made.path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture from somewhere."""
    path = tmp_path / "picture.png"
    Image.fromarray(np.linspace(0, 255, 40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3)).save(path)
    return path


def request_for(source: Source, **changes: Any) -> ClipRequest:
    asked = {
        "source_use": source.use,
        "source_sha256": source.sha256,
        "source_media_type": source.media_type,
    }
    return ClipRequest(**ANY | asked | changes)


def publish(
    project: Project, generator: Generator, request: ClipRequest, source: Source | None = None
) -> Path:
    made = publish_clip(project, generator, request, folder=project.outputs, source=source)
    assert isinstance(made, PublishedClip)
    return made.path


def require_sound(project: Project, path: Path) -> dict[str, Any]:
    """Check a clip with our verifier and the conformance rubric; return the parameters of its creation."""
    trust = load_project_trust(project)
    verdict = verify_file(path, trust)
    assert verdict.outcome is VerdictOutcome.PASS, verdict.failures
    assert examine(path, trust, ["conformance"]).reports[0].num_held == 31
    active = read_store(path, trust, media_type=CLIP_MEDIA_TYPE).active
    facts, actions = assertion_data(active, CLIP_LABEL), assertion_data(active, ACTIONS_LABEL)
    assert facts is not None
    assert actions is not None
    parameters: dict[str, Any] = dict(actions["actions"][0]["parameters"])
    ingredients = {entry["title"]: entry for entry in active["ingredients"]}
    assert len(parameters["ingredients"]) == len(ingredients), "the action names each of them"
    return parameters | {"numFrames": facts["numFrames"], "of": ingredients}


def decoded(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_longer_clip_has_its_frames_and_says_so(project: Project, generator: Generator) -> None:
    path = publish(project, generator, ClipRequest(**ANY, num_frames=12))
    assert len(decoded(path)) == 12
    assert require_sound(project, path)["numFrames"] == 12


def test_a_loop_says_so_and_has_no_seam(project: Project, generator: Generator, tmp_path: Path) -> None:
    request = ClipRequest(**ANY, is_loop=True, num_frames=8)
    path = publish(project, generator, request)
    assert require_sound(project, path)["org.cleartitle.loop"] is True
    import torch

    frames = torch.from_numpy(np.stack(decoded(path))).permute(0, 3, 1, 2)
    steps = step_sizes(frames)
    assert steps[-1] <= sorted(steps)[len(steps) // 2]


def test_a_picture_of_unknown_rights_is_held_and_goes_in_by_digest(
    project: Project, generator: Generator, picture: Path
) -> None:
    source = open_source(generator, SourceUse.FIRST_FRAME, picture)
    request = request_for(source)
    held = publish_clip(project, generator, request, folder=project.outputs, source=source)
    assert isinstance(held, HeldClip)
    assert source.sha256[:12] in held.reason
    assert "nothing on record says that it may be used" in held.reason
    assert list_held(project) == [held]
    assert publish_clip(project, generator, request, folder=project.outputs, source=source) == held
    said = require_sound(project, let_through(project, generator, held, "we took it"))
    assert said["org.cleartitle.source-use"] == "first-frame"
    assert said["org.cleartitle.source-sha256"] == file_digest(picture).sha256
    assert set(said["of"]) == {"model", "prompt", "first-frame"}
    assert said["of"]["first-frame"]["relationship"] == "inputTo"
    assert source.sha256 in said["of"]["first-frame"]["instance_id"]
    assert said["of"]["first-frame"]["format"] == "image/png"


def test_cleared_footage_is_a_first_frame_without_a_doubt(
    project: Project, generator: Generator, trained_root: Path
) -> None:
    source = open_source(generator, SourceUse.FIRST_FRAME, trained_root / "footage" / "sea.mp4")
    assert source.doubt is None
    assert source.frames_TCHW.shape == (1, 3, 16, 16)
    said = require_sound(project, publish(project, generator, request_for(source), source))
    assert said["of"]["first-frame"]["format"] == "video/mp4"


def test_footage_whose_scene_is_protected_is_a_first_frame_with_a_doubt(
    generator: Generator, trained_root: Path
) -> None:
    footage = trained_root / "footage" / "sea.mp4"
    shown, other = (
        frozenset(
            span.clip_id
            for span in generator.snapshot.clips
            if (span.asset_sha256 == file_digest(footage).sha256) is is_shown
        )
        for is_shown in (True, False)
    )
    for clip_ids, is_doubtful in ((shown, True), (other, False)):
        clause = OutputClause(
            constraint=OutputConstraint.NO_SCENE_RECREATION,
            grant_digest="a" * 64,
            title="The sea",
            rights_holder="Sea Films",
            clip_ids=clip_ids,
        )
        snapshot = dataclasses.replace(generator.snapshot, output_clauses=(clause,))
        source = open_source(
            dataclasses.replace(generator, snapshot=snapshot), SourceUse.FIRST_FRAME, footage
        )
        assert (source.doubt is not None) is is_doubtful
        assert source.doubt is None or "no_scene_recreation of grant aaaaaaaaaaaa" in source.doubt


@pytest.mark.parametrize("name", ["found.mp4", "study.mp4"])
def test_footage_that_is_not_cleared_is_no_first_frame(
    generator: Generator, trained_root: Path, name: str
) -> None:
    with pytest.raises(UndecidedError, match="cannot be read as a picture"):
        open_source(generator, SourceUse.FIRST_FRAME, trained_root / "footage" / name)


def test_a_first_frame_changes_the_clip(generator: Generator, picture: Path, tmp_path: Path) -> None:
    source = open_source(generator, SourceUse.FIRST_FRAME, picture)
    plain = drawn(generator, ClipRequest(**ANY), None, tmp_path / "plain.mp4")
    held = drawn(generator, request_for(source), source, tmp_path / "held.mp4")
    assert plain != held


def test_a_clip_goes_on_and_carries_the_one_before(
    project: Project, generator: Generator, clip: Path
) -> None:
    source = open_source(generator, SourceUse.CONTINUED, clip)
    path = publish(project, generator, request_for(source), source)
    said = require_sound(project, path)
    assert said["org.cleartitle.source-use"] == "continued"
    assert set(said["of"]) == {"model", "prompt", "Generated clip"}
    assert said["of"]["Generated clip"]["relationship"] == "inputTo"
    earlier = read_store(clip, generator.trust, media_type=CLIP_MEDIA_TYPE).active_label
    assert said["of"]["Generated clip"]["active_manifest"] == earlier
    assert len(decoded(path)) == CONFIG.num_frames
    again = open_source(generator, SourceUse.CONTINUED, path)
    require_sound(project, publish(project, generator, request_for(again), again))


def test_a_varied_clip_says_how_far_it_departs(project: Project, generator: Generator, clip: Path) -> None:
    source = open_source(generator, SourceUse.VARIED, clip)
    said = require_sound(
        project, publish(project, generator, request_for(source, strength_percent=50), source)
    )
    assert (said["org.cleartitle.source-use"], said["org.cleartitle.strength-percent"]) == ("varied", 50)


def test_a_held_continuation_keeps_its_source_until_it_is_signed(project: Project, clip: Path) -> None:
    generator = open_generator(
        project, "model", open_screener=lambda _project, _snapshot: SayingScreen(ScreenOutcome.HELD)
    )
    source = open_source(generator, SourceUse.CONTINUED, clip)
    held = publish_clip(project, generator, request_for(source), folder=project.outputs, source=source)
    assert isinstance(held, HeldClip)
    clip.unlink()
    flip_byte(held.folder / "source.mp4", 100)
    with pytest.raises(RefusedError, match="is not the clip that"):
        let_through(project, generator, held, "fine")
    flip_byte(held.folder / "source.mp4", 100)
    said = require_sound(project, let_through(project, generator, held, "fine"))
    assert "Generated clip" in said["of"]


def test_another_source_is_another_clip(
    project: Project, generator: Generator, clip: Path, picture: Path
) -> None:
    source = open_source(generator, SourceUse.CONTINUED, clip)
    other = open_source(generator, SourceUse.FIRST_FRAME, picture)
    with pytest.raises(ConfigError, match="not the one that the request names"):
        publish_clip(project, generator, request_for(source), folder=project.outputs, source=other)
    path = publish(project, generator, request_for(source), source)
    changed = request_for(source, num_frames=8)
    shutil.copyfile(path, project.outputs / changed.file_name)
    with pytest.raises(RefusedError, match="is not that clip"):
        publish_clip(project, generator, changed, folder=project.outputs, source=source)


def test_only_clips_of_the_model_that_verify_go_on(
    project: Project, generator: Generator, clip: Path, trained_root: Path
) -> None:
    with pytest.raises(RefusedError, match="not a clip of ours"):
        open_source(generator, SourceUse.CONTINUED, trained_root / "footage" / "sea.mp4")
    other = dataclasses.replace(generator, record=dataclasses.replace(generator.record, urn="urn:other"))
    with pytest.raises(RefusedError, match="of another model"):
        open_source(other, SourceUse.VARIED, clip)
    flip_byte(clip, clip.stat().st_size - 200)
    with pytest.raises(RefusedError, match="not a clip of ours that verifies"):
        open_source(generator, SourceUse.CONTINUED, clip)


def test_what_is_no_picture_is_said(generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        open_source(generator, SourceUse.FIRST_FRAME, tmp_path / "nowhere.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(UndecidedError, match="cannot be read as a picture"):
        open_source(generator, SourceUse.FIRST_FRAME, broken)


def drawn(generator: Generator, request: ClipRequest, source: Source | None, path: Path) -> bytes:
    statement = dataclasses.replace(state_clip(generator, request), clip_urn="urn:uuid:the-same")
    draw(generator, request, statement, path, source)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("use", "changes"),
    [
        (None, {}),
        (None, {"num_frames": 12}),
        (None, {"is_loop": True}),
        (SourceUse.FIRST_FRAME, {"num_frames": 8}),
        (SourceUse.CONTINUED, {}),
        (SourceUse.VARIED, {"strength_percent": 50}),
    ],
)
def test_the_same_request_is_the_same_clip_bit_for_bit(
    project: Project,
    generator: Generator,
    clip: Path,
    picture: Path,
    tmp_path: Path,
    use: SourceUse | None,
    changes: dict[str, Any],
) -> None:
    def source_of(opened: Generator) -> Source | None:
        path = picture if use is SourceUse.FIRST_FRAME else clip
        return None if use is None else open_source(opened, use, path)

    fresh = open_generator(project, "model", open_screener=passing)
    made = []
    for number, opened in enumerate((generator, fresh)):
        source = source_of(opened)
        asked = ClipRequest(**ANY | changes) if source is None else request_for(source, **changes)
        made.append(drawn(opened, asked, source, tmp_path / f"{number}.mp4"))
    assert made[0] == made[1]
    source = source_of(generator)
    other = ClipRequest(**ANY | changes) if source is None else request_for(source, **changes)
    seeded = dataclasses.replace(other, seed=4)
    assert drawn(generator, seeded, source, tmp_path / "other.mp4") != made[0]


def test_the_command_takes_it_all(
    project: Project, clip: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "training.generation.generator.open_generator.__kwdefaults__", {"open_screener": passing}
    )

    def run(*options: str) -> Result:
        base = ["--model", "model", "--prompt", "the sea", "--size", "64"]
        return CliRunner().invoke(commands.generate, [*base, *options, "--project", str(project.root)])

    assert run("--seconds", "1", "--loop").exit_code == 0
    assert run("--continue", str(clip)).exit_code == 0
    assert run("--vary", str(clip), "--count", "2", "--strength", "30").exit_code == 0
    held = run("--first-frame", str(picture))
    assert isinstance(held.exception, AnsweredUndecided)
    assert "is not footage of the snapshot" in held.stdout
    for wrong in (
        ("--seconds", "0.7"),
        ("--strength", "30"),
        ("--loop", "--continue", str(clip)),
        ("--vary", str(clip), "--continue", str(clip)),
        ("--vary", str(clip), "--seconds", "1"),
        ("--first-frame", str(picture.with_name("nowhere.png"))),
    ):
        assert isinstance(run(*wrong).exception, ConfigError), wrong
    assert len(list(project.outputs.glob("*.mp4"))) == 5
