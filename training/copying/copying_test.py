"""The data-copying test of one model, from its weights to the record."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import artefacts
from db.clock import utc_now
from db.errors import ConfigError
from db.project import Project
from db.records import ModelRecord
from governance.snapshots.snapshot import Snapshot, open_snapshot
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import Encoder
from training.copying.distances import Distances, distances_of, drawn_frames, retold_frames
from training.copying.held_out import HeldOutSpan, held_out_spans, middle_seconds, own_spans, read_span
from training.copying.record import record_test
from training.copying.statistic import CopyingStatistic, compare_distances, nothing_to_compare
from training.licensed_run import WEIGHTS_NAME, model_folder
from training.recipes import open_model
from training.screening.nearest import open_nearest

_NOTHING_HELD_OUT = "its snapshot holds nothing out, and no footage was named to compare with (--held-out)"


@dataclass(frozen=True, kw_only=True)
class CopyingTest:
    """The outcome of one test, as it is on record."""

    model_name: str
    weights_sha256: str
    statistic: CopyingStatistic
    seed: int
    encoder_digest: str
    num_held_out_files: int
    """Clips of one file are not independent of each other."""
    num_left_out: int
    """Clips of either kind without a picture that has texture enough to be compared."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values with stable keys."""
        facts = {name: value for name, value in vars(self).items() if name != "statistic"}
        return {"kind": "copying-test"} | facts | self.statistic.as_json()


def run_copying_test(
    project: Project,
    model_name: str,
    *,
    held_out: Sequence[Path],
    num_clips: int,
    seed: int,
    encoder: Encoder,
    on_clip: Callable[[int], None],
) -> CopyingTest:
    """Draw `num_clips` clips of captions of the snapshot, compare them, and put the outcome on record.

    Without `held_out` footage, what the snapshot itself holds out is compared with.

    Raises `ConfigError` for an unknown model or held-out footage that cannot be used, `SnapshotError` or
    `CheckpointError` if snapshot or weights do not hold, `MediaError` for held-out footage that cannot be decoded.
    """
    record = find_model(project, model_name)
    snapshot = open_snapshot(project, record.snapshot_name, now=utc_now())
    spans = (
        held_out_spans(held_out, snapshot, clip_seconds=middle_seconds(snapshot), max_clips=num_clips)
        if held_out
        else own_spans(snapshot, max_clips=num_clips)
    )
    if spans:
        generated, others = _measure(project, record, snapshot, spans, num_clips, seed, encoder, on_clip)
        statistic = compare_distances(generated.values, others.values)
        num_left_out = generated.num_left_out + others.num_left_out
    else:  # nothing is drawn: the answer is known
        statistic, num_left_out = nothing_to_compare(_NOTHING_HELD_OUT), 0
    test = CopyingTest(
        model_name=record.name,
        weights_sha256=record.weights_sha256,
        statistic=statistic,
        seed=seed,
        encoder_digest=encoder.identity.digest,
        num_held_out_files=len({span.path for span in spans}),
        num_left_out=num_left_out,
    )
    record_test(project, record, test.as_json())
    return test


def find_model(project: Project, name: str) -> ModelRecord:
    """Return a model. Raises `ConfigError` with the names that exist."""
    with project.session() as session:
        record = artefacts.find_model(session, name)
        names = ", ".join(model.name for model in artefacts.list_models(session)) or "none"
    if record is None:
        raise ConfigError(f"no model is called {name!r}; trained so far: {names}")
    return record


def _measure(
    project: Project,
    record: ModelRecord,
    snapshot: Snapshot,
    spans: Sequence[HeldOutSpan],
    num_clips: int,
    seed: int,
    encoder: Encoder,
    on_clip: Callable[[int], None],
) -> tuple[Distances, Distances]:
    """Return the distances of generated and of held-out clips."""
    weights = model_folder(project, record.name) / WEIGHTS_NAME
    device = str(choose_compute().device)
    trained = open_model(project, weights, device=device, expected_sha256=record.weights_sha256)
    nearest = open_nearest(project, record.name, encoder.identity)
    drawn = drawn_frames(trained, _prompts(snapshot, num_clips), seed)
    others = retold_frames(trained, (read_span(span, trained.config) for span in spans))
    with tempfile.TemporaryDirectory(prefix="cleartitle-copying-") as name:
        generated, held_out = (
            distances_of(
                clips, nearest, project=project, encoder=encoder, folder=Path(name) / kind, on_clip=on_clip
            )
            for kind, clips in (("generated", drawn), ("held-out", others))
        )
    return generated, held_out


def _prompts(snapshot: Snapshot, count: int) -> list[str]:
    """Return captions of the snapshot, evenly spaced, again from the first where there are fewer."""
    captions = list(dict.fromkeys(span.caption for span in snapshot.clips))
    return [captions[number * max(count, len(captions)) // count % len(captions)] for number in range(count)]
