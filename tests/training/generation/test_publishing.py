"""From a request to a clip: refused, held for a person, or signed; and what the record keeps of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select

from db import models, output_models
from db.errors import AnsweredNo, AnsweredUndecided, ConfigError, RefusedError
from db.events import list_events
from db.project import Project, open_project
from governance.conformance.examination import examine
from governance.credentials.engine import read_store
from governance.credentials.store import assertion_data
from governance.manifests.manifest import CLIP_MEDIA_TYPE, DISCLOSURE_LABEL
from governance.manifests.terms import SCREEN_LABEL, SOFT_BINDING_LABEL
from governance.registry.lookup import Registry
from governance.signing.signers import load_project_trust
from governance.verification.verdict import Binding, VerdictOutcome
from governance.verification.verify import verify_file
from ingest.watermark.binding import SpreadSpectrum, open_project_trustmark
from ingest.watermark.keys import WATERMARK_KEY_FILE, load_watermark_key
from ingest.watermark.trustmark import TrustMark
from tests.ingest.media.test_essence import remux
from tests.ingest.watermark.trustmark_files import make_echo, pin, write_trustmark_files
from tests.media import flip_byte
from tests.training.screener import SayingScreen
from training.errors import ReplicationRefused
from training.generation import commands as generate_commands
from training.generation import held_commands
from training.generation.drawing import mark_of
from training.generation.generator import Generator, open_generator
from training.generation.holding import HeldClip, find_held, let_through, list_held, turn_down
from training.generation.publish import PublishedClip, publish_clip
from training.generation.release import output_columns
from training.generation.request import ClipRequest
from training.quality.card import card_path, read_card
from training.screening.result import ScreenOutcome

REQUEST = ClipRequest(prompt="the sea", seed=3, height=256, width=256)


def opened(project: Project, outcome: ScreenOutcome) -> Generator:
    return open_generator(project, "model", open_screener=lambda _project, _snapshot: SayingScreen(outcome))


def publish(project: Project, outcome: ScreenOutcome) -> PublishedClip | HeldClip:
    return publish_clip(project, opened(project, outcome), REQUEST, folder=project.outputs)


def test_a_clip_that_passed_says_so_everywhere(project: Project) -> None:
    clip = publish(project, ScreenOutcome.PASSED)
    assert isinstance(clip, PublishedClip)
    trust = load_project_trust(project)
    active = read_store(clip.path, trust, media_type=CLIP_MEDIA_TYPE).active
    screen = assertion_data(active, SCREEN_LABEL)
    assert screen is not None
    assert (screen["outcome"], screen["detector"]["digest"]) == ("passed", "b" * 64)
    assert "sea.mp4" not in json.dumps(active)
    with project.session() as session:
        row = session.scalars(select(output_models.Credential)).one()
        assert row.screen is not None
        assert row.screen["outcome"] == "passed"
        mark_id = row.mark_id
    binding = assertion_data(active, SOFT_BINDING_LABEL)
    assert (None if binding is None else binding["blocks"][0]["value"]) == mark_id
    assert examine(clip.path, trust, ["conformance"]).reports[0].num_held == 31
    card = read_card(card_path(clip.path))
    assert card.as_json()["oversight"] == "prompt_guided"


@pytest.mark.parametrize("is_quoted", [True, False])
def test_the_text_of_a_prompt_is_told_only_on_request(project: Project, *, is_quoted: bool) -> None:
    request = dataclasses.replace(REQUEST, is_prompt_quoted=is_quoted)
    clip = publish_clip(project, opened(project, ScreenOutcome.PASSED), request, folder=project.outputs)
    assert isinstance(clip, PublishedClip)
    assert (REQUEST.prompt.encode() in clip.path.read_bytes()) == is_quoted
    assert examine(clip.path, load_project_trust(project), ["conformance"]).reports[0].num_held == 31


def test_the_mark_is_in_the_pictures_and_says_which_clip(project: Project) -> None:
    clip = publish(project, ScreenOutcome.PASSED)
    assert isinstance(clip, PublishedClip)
    key = load_watermark_key(project.keys / WATERMARK_KEY_FILE)
    with project.session() as session:
        mark_id = session.scalars(select(output_models.Credential)).one().mark_id
    reading = SpreadSpectrum(key=key).read_mark(clip.path)
    assert (None if reading.mark_id is None else f"{reading.mark_id:016x}") == mark_id


@pytest.fixture
def marking(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project, marking with TrustMark, whose random weights say nothing."""
    pytest.importorskip("trustmark", reason="the package trustmark is not installed")
    from ingest.watermark.trustmark import open_trustmark

    pin(write_trustmark_files(tmp_path / "weights"), monkeypatch)
    settings = dataclasses.replace(project.settings, watermark=f"trustmark:P@{tmp_path / 'weights'}")
    open_trustmark.cache_clear()
    yield dataclasses.replace(project, settings=settings)
    open_trustmark.cache_clear()


def bound_by(path: Path, project: Project) -> str | None:
    active = read_store(path, load_project_trust(project), media_type=CLIP_MEDIA_TYPE).active
    data = assertion_data(active, SOFT_BINDING_LABEL)
    return None if data is None else str(data["alg"])


def test_a_mark_that_cannot_be_read_is_not_stated(marking: Project) -> None:
    clip = publish(marking, ScreenOutcome.PASSED)
    assert isinstance(clip, PublishedClip)
    assert bound_by(clip.path, marking) is None


def test_a_held_clip_keeps_the_mark_that_is_in_it(project: Project, marking: Project) -> None:
    """The method used to be the one that the project had when a person let the clip through."""
    trustmark = open_project_trustmark(marking)
    assert isinstance(trustmark, TrustMark)
    make_echo(trustmark)
    held = publish(marking, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    path = let_through(project, opened(project, ScreenOutcome.HELD), find_held(project, held.name), "fine")
    assert bound_by(path, project) == "com.adobe.trustmark.P"
    assert examine(path, load_project_trust(project), ["conformance"]).reports[0].num_held == 31
    with project.session() as session:
        mark_id = session.scalars(select(output_models.Credential)).one().mark_id
    assert mark_id == f"{mark_of(str(held.document['clip_urn'])):016x}"


def test_a_stripped_clip_is_told_again(project: Project, tmp_path: Path) -> None:
    clip = publish(project, ScreenOutcome.PASSED)
    assert isinstance(clip, PublishedClip)
    stripped = remux(clip.path, tmp_path / "stripped.mp4")
    trust = load_project_trust(project)
    assert verify_file(stripped, trust).outcome is VerdictOutcome.NO_MANIFEST
    verdict = verify_file(stripped, trust, recover=Registry(project).recover)
    assert verdict.outcome is VerdictOutcome.RECOVERED
    assert verdict.recovered is not None
    assert (verdict.recovered.binding, verdict.recovered.clip_urn) == (Binding.HARD, clip.urn)
    assert verdict.chain is not None
    assert verdict.chain.snapshot.name == "spring"


def test_a_replica_is_refused_and_nothing_is_left(project: Project) -> None:
    with pytest.raises(ReplicationRefused, match=r"seconds 0\.0 to 2\.0 shows footage .*sea\.mp4"):
        publish(project, ScreenOutcome.REFUSED)
    assert not list(project.outputs.iterdir())
    assert list_held(project) == []


def test_a_project_may_hold_replicas_of_its_training_footage(project: Project) -> None:
    settings = dataclasses.replace(project.settings, training_replicas="hold")
    lenient = dataclasses.replace(project, settings=settings)
    held = publish(lenient, ScreenOutcome.REFUSED)
    assert isinstance(held, HeldClip)
    assert "sea.mp4" in held.reason
    path = let_through(
        lenient, opened(lenient, ScreenOutcome.REFUSED), find_held(lenient, held.name), "ours to show"
    )
    active = read_store(path, load_project_trust(lenient), media_type=CLIP_MEDIA_TYPE).active
    screen = assertion_data(active, SCREEN_LABEL)
    assert screen is not None
    assert (screen["outcome"], screen["highestProbability"]) == ("held", 0.99)


@pytest.mark.parametrize("outcome", [ScreenOutcome.HELD, ScreenOutcome.NOT_COMPARABLE])
def test_what_is_not_sure_waits_for_a_person_whose_word_is_signed(
    project: Project, outcome: ScreenOutcome
) -> None:
    held = publish(project, outcome)
    assert isinstance(held, HeldClip)
    assert not list(project.outputs.iterdir())
    assert [clip.name for clip in list_held(project)] == [held.name]
    again = publish(project, outcome)
    assert again == held, "asked for again, it waits as before and is not drawn anew"
    path = let_through(project, opened(project, outcome), find_held(project, held.name), "looked at both")
    assert path == project.outputs / REQUEST.file_name
    trust = load_project_trust(project)
    assert verify_file(path, trust).outcome is VerdictOutcome.PASS
    active = read_store(path, trust, media_type=CLIP_MEDIA_TYPE).active
    disclosure = assertion_data(active, DISCLOSURE_LABEL)
    assert disclosure is not None
    assert disclosure["contentProfile"]["humanOversightLevel"] == "human_validated"
    screen = assertion_data(active, SCREEN_LABEL)
    assert screen is not None
    assert screen["outcome"] == outcome.value
    assert examine(path, trust, ["conformance"]).reports[0].num_held == 31
    assert list_held(project) == []
    with project.session() as session:
        kinds = [event.kind for event in list_events(session, subject=held.name)]
    assert sorted(kinds) == ["clip.held", "clip.let_through"]


def test_a_project_may_have_every_clip_approved(project: Project) -> None:
    settings = dataclasses.replace(project.settings, approval="always")
    strict = dataclasses.replace(project, settings=settings)
    held = publish(strict, ScreenOutcome.PASSED)
    assert isinstance(held, HeldClip)
    assert "every clip approved" in held.reason
    path = let_through(strict, opened(strict, ScreenOutcome.PASSED), find_held(strict, held.name), "fine")
    active = read_store(path, load_project_trust(strict), media_type=CLIP_MEDIA_TYPE).active
    assert assertion_data(active, SCREEN_LABEL)["outcome"] == "passed"  # type: ignore[index]
    disclosure = assertion_data(active, DISCLOSURE_LABEL)
    assert disclosure is not None
    assert disclosure["contentProfile"]["humanOversightLevel"] == "human_validated"


def test_under_four_eyes_another_person_lets_a_clip_through(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(project.settings, approved_by="another")
    strict = dataclasses.replace(project, settings=settings)
    generator = opened(strict, ScreenOutcome.HELD)
    monkeypatch.setenv("CLEARTITLE_ACTOR", "Maria Maker")
    held = publish(strict, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    for name in ("Maria Maker", " maria  MAKER"):
        monkeypatch.setenv("CLEARTITLE_ACTOR", name)
        with pytest.raises(
            RefusedError, match="had it drawn, and this project has clips approved by another"
        ):
            let_through(strict, generator, find_held(strict, held.name), "fine")
    assert not list(project.outputs.iterdir())
    monkeypatch.setenv("CLEARTITLE_ACTOR", "Jo Judge")
    let_through(strict, generator, find_held(strict, held.name), "looked at it")
    with strict.session() as session:
        (event,) = list_events(session, kind="clip.let_through")
    assert event.actor == "Jo Judge"


def test_under_four_eyes_a_clip_that_nobody_drew_is_not_let_through(project: Project) -> None:
    settings = dataclasses.replace(project.settings, approved_by="another")
    strict = dataclasses.replace(project, settings=settings)
    held = publish(strict, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    (held.folder / "request.json").write_text(json.dumps(dict(held.document) | {"reason": "none"}))
    with pytest.raises(RefusedError, match="nobody is on record"):
        let_through(strict, opened(strict, ScreenOutcome.HELD), find_held(strict, held.name), "fine")


@pytest.mark.parametrize("name", ["clip.mp4", "request.json"])
def test_what_was_changed_while_it_was_held_is_not_signed(project: Project, name: str) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    changed = held.folder / name
    if name == "clip.mp4":
        flip_byte(changed, -100)
    else:
        changed.write_text(changed.read_text().replace('"seed":3', '"seed":4'))
    with pytest.raises(RefusedError, match="was changed since the clip was held"):
        let_through(project, opened(project, ScreenOutcome.HELD), find_held(project, held.name), "fine")
    assert not list(project.outputs.iterdir())


def test_an_approval_that_was_killed_is_finished(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.generation.holding._close", die)
        with pytest.raises(KeyboardInterrupt):
            let_through(project, opened(project, ScreenOutcome.HELD), held, "fine")
    signed = held.destination.read_bytes()
    with project.session() as session:
        session.execute(delete(output_models.CredentialPrint))
        session.execute(delete(output_models.Credential))
        session.execute(delete(models.OutputClip))
    path = let_through(project, opened(project, ScreenOutcome.HELD), find_held(project, held.name), "fine")
    assert path.read_bytes() == signed
    assert list_held(project) == []
    stripped = Registry(project).recover(path)
    assert stripped is not None
    assert stripped.clip_urn == held.document["clip_urn"]


def test_a_name_that_was_taken_meanwhile_is_left_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = project.outputs / REQUEST.file_name

    def other_process(statement: object, *_arguments: object, **_options: object) -> dict[str, object]:
        place.write_bytes(b"the other one's")
        return output_columns(statement, *_arguments, **_options)  # type: ignore[arg-type]

    monkeypatch.setattr("training.generation.release.output_columns", other_process)
    with pytest.raises(RefusedError, match="there already"):
        publish(project, ScreenOutcome.PASSED)
    assert place.read_bytes() == b"the other one's"
    with project.session() as session:
        assert session.scalars(select(models.OutputClip)).all() == []


def test_turned_down_it_is_gone_and_on_record(project: Project) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    turn_down(project, held, "the opening shot of the film")
    assert list_held(project) == []
    with project.session() as session:
        [event, _] = sorted(
            list_events(session, subject=held.name), key=lambda event: event.kind, reverse=True
        )
    assert (event.kind, event.payload["reason"]) == ("clip.turned_down", "the opening shot of the film")


def test_a_held_clip_is_not_signed_over_another_file(project: Project) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    held.destination.write_bytes(b"something else")
    with pytest.raises(ConfigError, match="never overwritten"):
        let_through(project, opened(project, ScreenOutcome.HELD), held, "fine")
    assert held.destination.read_bytes() == b"something else"
    assert find_held(project, held.name) == held


def test_a_clip_that_waits_is_not_replaced_by_another_of_its_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes may have drawn it at the same time, and a person may be looking at the first."""
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    monkeypatch.setattr("training.generation.publish.held_already", lambda *_arguments: None)
    with pytest.raises(RefusedError, match="another clip called"):
        publish(project, ScreenOutcome.HELD)
    assert list_held(project) == [held]


@pytest.mark.parametrize(
    ("key", "value"),
    [("screen_statement", None), ("request", {"prompt": "x"}), ("destination", 5), ("thumbnail", "%")],
)
def test_a_damaged_document_is_said_by_name(project: Project, key: str, value: object) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    damaged = dict(held.document) | {key: value}
    (held.folder / "request.json").write_text(json.dumps(damaged))
    with pytest.raises(ConfigError, match=r"request\.json: cannot be read as a held clip"):
        list_held(project)


def test_a_damaged_folder_leaves_the_others_in_the_list(project: Project) -> None:
    """One folder that could not be read used to hide all clips that wait."""
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    for name in ("a-empty", "b-broken", "z-no-pictures"):
        shutil.copytree(held.folder, held.folder.with_name(name))
    (held.folder.with_name("a-empty") / "request.json").unlink()
    (held.folder.with_name("b-broken") / "request.json").write_text("{")
    (held.folder.with_name("z-no-pictures") / "clip.mp4").unlink()
    listed = CliRunner().invoke(held_commands.outputs, ["list", "--json", "--project", str(project.root)])
    assert isinstance(listed.exception, AnsweredUndecided)
    empty, broken, whole, blind = (json.loads(line) for line in listed.stdout.splitlines())
    assert (whole["name"], whole["reason"]) == (held.name, held.reason)
    assert [said["name"] for said in (empty, broken, blind)] == ["a-empty", "b-broken", "z-no-pictures"]
    assert "request.json: cannot be read as a held clip: FileNotFoundError" in empty["error"]
    assert "request.json: cannot be read as a held clip: JSONDecodeError" in broken["error"]
    assert blind["error"].endswith("clip.mp4: missing")
    assert {said["hint"] for said in (empty, broken, blind)} == {"remove the folder, and generate again"}
    told = CliRunner().invoke(held_commands.outputs, ["list", "--project", str(project.root)]).stdout
    assert told.count("  damaged ") == told.count("  try ") == 3
    assert told.count("  look at ") == 1


def test_a_signed_clip_is_not_turned_down(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    with monkeypatch.context() as patch:
        patch.setattr("training.generation.holding._close", lambda *_arguments: None)
        let_through(project, opened(project, ScreenOutcome.HELD), held, "fine")
    for _ in ("on record", "killed before it was on record"):
        with pytest.raises(RefusedError, match="was approved and signed before"):
            turn_down(project, held, "no")
        with project.session() as session:
            session.execute(delete(output_models.CredentialPrint))
            session.execute(delete(output_models.Credential))
            session.execute(delete(models.OutputClip))
    assert [clip.name for clip in list_held(project)] == [held.name]


def test_a_project_that_was_moved_takes_its_held_clips_along(project: Project) -> None:
    held = publish(project, ScreenOutcome.HELD)
    assert isinstance(held, HeldClip)
    project.root.rename(project.root.with_name("moved"))
    (found,) = list_held(open_project(project.root.with_name("moved")))
    assert found.destination == project.root.with_name("moved") / "outputs" / REQUEST.file_name


@pytest.mark.parametrize("name", ["nobody", "../held", ""])
def test_an_unknown_name_is_not_held(project: Project, name: str) -> None:
    with pytest.raises(ConfigError, match="is held"):
        find_held(project, name)


def test_the_commands(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ScreenOutcome.HELD

    def screen(_project: object, _snapshot: object) -> SayingScreen:
        return SayingScreen(answer)

    monkeypatch.setattr(
        "training.generation.generator.open_generator.__kwdefaults__", {"open_screener": screen}
    )

    def run(command: object, *arguments: str) -> object:
        return CliRunner().invoke(command, [*arguments, "--project", str(project.root)])  # type: ignore[arg-type]

    make = ("--model", "model", "--prompt", "the sea", "--size", "64")
    held = run(generate_commands.generate, *make, "--json")
    assert isinstance(held.exception, AnsweredUndecided)  # type: ignore[attr-defined]
    assert json.loads(held.stdout)["outcome"] == "held"  # type: ignore[attr-defined]
    listed = run(held_commands.outputs, "list", "--json")
    name = json.loads(listed.stdout)["name"]  # type: ignore[attr-defined]
    empty = run(held_commands.outputs, "approve", name, "--reason", " ")
    assert isinstance(empty.exception, ConfigError)  # type: ignore[attr-defined]
    approved = run(held_commands.outputs, "approve", name, "--reason", "fine", "--json")
    assert Path(json.loads(approved.stdout)["path"]).is_file()  # type: ignore[attr-defined]
    assert "no clip is held" in run(held_commands.outputs, "list").stdout  # type: ignore[attr-defined]
    answer = ScreenOutcome.REFUSED
    refused = run(generate_commands.generate, *make, "--seed", "1", "--count", "2")
    assert isinstance(refused.exception, AnsweredNo)  # type: ignore[attr-defined]
    assert refused.stdout.count("refused. seconds 0.0 to 2.0") == 2  # type: ignore[attr-defined]
    assert issubclass(ReplicationRefused, RefusedError)


def test_a_table_of_prompts_is_checked_whole_and_goes_on_where_it_stopped(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened_screens: list[SayingScreen] = []

    def screen(_project: object, _snapshot: object) -> SayingScreen:
        opened_screens.append(SayingScreen(ScreenOutcome.PASSED))
        return opened_screens[-1]

    monkeypatch.setattr(
        "training.generation.generator.open_generator.__kwdefaults__", {"open_screener": screen}
    )

    def run(text: str) -> object:
        table = tmp_path / "prompts.csv"
        table.write_text(f"prompt,seed\n{text}", encoding="utf-8")
        options = ["--model", "model", "--prompts", str(table), "--size", "64", "--json"]
        return CliRunner().invoke(generate_commands.generate, [*options, "--project", str(project.root)])

    broken = run("the sea,0\n,1\n")
    assert isinstance(broken.exception, ConfigError)  # type: ignore[attr-defined]
    assert not opened_screens, "the model is not even opened"
    first = run("the sea,0\n")
    assert first.exit_code == 0, first  # type: ignore[attr-defined]
    both = run("the sea,0\na hill,5\n")
    lines = [json.loads(line) for line in both.stdout.splitlines()]  # type: ignore[attr-defined]
    assert [(line["row"], line["seed"], line["is_new"]) for line in lines] == [(2, 0, False), (3, 5, True)]
    assert [screen.num_screened for screen in opened_screens] == [1, 1], "one model, and what is there stays"


@pytest.mark.parametrize("options", [[], ["--prompt", "the sea", "--prompts", "-"], ["--prompt", " "]])
def test_without_a_prompt_it_says_what_to_give(project: Project, options: list[str]) -> None:
    made = CliRunner().invoke(
        generate_commands.generate, ["--model", "model", *options, "--project", str(project.root)]
    )
    assert isinstance(made.exception, ConfigError)
    assert made.exception.hint
