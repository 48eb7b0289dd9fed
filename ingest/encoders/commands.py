"""The commands about the frame encoder: encoder show, fetch, fit. They parse, call and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import ConfigError
from db.terminal import json_option, note, progress, project_option, say, say_json

if TYPE_CHECKING:
    from db.project import Project


@click.group()
def encoder() -> None:
    """Show or fetch the frame encoder, or fit its vectors to footage.

    Example: cleartitle encoder show
    """


@encoder.command()
@json_option
@project_option
def show(*, as_json: bool, project_dir: Path) -> None:
    """Say which encoder serves this project, and why.

    Example: cleartitle encoder show
    """
    from db.project import open_project
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder

    choice = open_encoder(open_project(project_dir).settings.encoder, choose_compute())
    identity = choice.encoder.identity
    if as_json:
        say_json(vars(identity) | {"digest": identity.digest, "reason": choice.reason})
        return
    say(choice.reason)
    say(f"weights sha256 {identity.weights_sha256}")
    say(f"preprocessing  {identity.preprocessing}")
    say(f"identity       {identity.digest}, {identity.dim} dimensions")


@encoder.command()
@click.argument("spec")
def fetch(spec: str) -> None:
    """Download the weights of an open_clip model: the only command that uses the network.

    Example: cleartitle encoder fetch open_clip:ViT-B-32/laion2b_s34b_b79k
    """
    from ingest.encoders.encoder import fetch_encoder

    path = fetch_encoder(spec)
    say("the embedded default needs no download" if path is None else f"fetched {path}")


@encoder.command()
@click.argument("footage", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--dim", default=256, show_default=True, type=click.IntRange(min=1), help="Dimensions to keep.")
@click.option(
    "--whitening",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="How far the spread along the dimensions is made equal.",
)
@click.option(
    "--beta",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 2),
    help="How much of a query's likeness to this footage is taken from its scores.",
)
@json_option
@project_option
def fit(
    footage: tuple[Path, ...],
    dim: int,
    whitening: float,
    beta: float,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Fit a normalisation of the vectors to background footage, for `index build` to use.

    The footage must be in neither the library nor a reference set. An index that was built before does not fit any more
    and is not used until it is built again. Exit 3 if a file cannot be decoded to its end.

    Example: cleartitle encoder fit stock/ --dim 256
    """
    from db.project import open_project
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from ingest.encoders.normalization import fit_on_footage
    from ingest.matching.nomination import normalization_path

    project = open_project(project_dir)
    choice = open_encoder(project.settings.encoder, choose_compute())
    paths = _footage_files(footage)
    _warn_of_known(project, paths)
    with progress("fitting", len(paths)) as advance:
        fitted = fit_on_footage(
            paths,
            choice.encoder,
            dim=dim,
            beta=beta,
            whitening=whitening,
            on_progress=lambda _path, _num_frames: advance(1),
        )
    path = normalization_path(project, choice.encoder.identity)
    fitted.save(path)
    if as_json:
        facts = {"digest": fitted.digest, "encoder_digest": fitted.encoder.digest, "dim": dim, "beta": beta}
        counts = {"whitening": whitening, "num_files": len(paths), "num_fitted": fitted.num_fitted}
        say_json({"kind": "normalization"} | facts | counts)
        return
    say(
        f"fitted {dim} of {fitted.encoder.dim} dimensions on {fitted.num_fitted} frames of {len(paths)} files"
    )
    say(f"normalisation {fitted.digest}")
    note("run `cleartitle index build` to use it")


def _footage_files(footage: tuple[Path, ...]) -> list[Path]:
    """Return the files to fit on; what is left out is said."""
    from ingest.intake.intake import QUIET_SKIPS
    from ingest.media.sources import SourceFile, printable_path, walk_sources

    paths = []
    for source in walk_sources(footage):
        if isinstance(source, SourceFile):
            paths.append(source.path)
        elif source.code not in QUIET_SKIPS:
            note(f"left out: {printable_path(source.path)}: {source.detail}")
    if not paths:
        raise ConfigError("there is no video to fit on", hint="name files or folders with footage")
    return paths


def _warn_of_known(project: Project, paths: list[Path]) -> None:
    """Say which files the project holds: frames it searches would be made to look less alike."""
    from db import queries
    from ingest.media.digests import file_digest
    from ingest.media.sources import printable_path

    digests = {path: file_digest(path).sha256 for path in paths}
    with project.session() as session:
        known = [path for path, sha256 in digests.items() if queries.find_asset(session, sha256) is not None]
    for path in known:
        note(
            f"{printable_path(path)}: is in this project already; background footage should be unrelated to it"
        )
