"""A library with a sealed snapshot and a tiny model that was trained on it, all real."""

from __future__ import annotations

from pathlib import Path

from db.clock import utc_now
from db.project import Project
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.snapshots.sealing import seal_snapshot
from tests.library import make_library
from tests.training.screener import passing
from training.config import TrainingConfig
from training.generation.generator import open_generator
from training.generation.publish import PublishedClip, publish_clip
from training.generation.request import ClipRequest
from training.licensed_run import LicensedModel, LicensedRun, begin_run, complete_run

CONFIG = TrainingConfig(
    num_frames=4,
    height=16,
    width=16,
    patch_frames=4,
    patch_height=8,
    patch_width=8,
    num_components=4,
    model_width=16,
    model_depth=1,
    num_heads=2,
    batch_size=2,
    num_steps=4,
    warmup_steps=1,
    sampling_steps=2,
    checkpoint_every=2,
)


def make_trained_library(root: Path) -> Project:
    """Write `root`/footage and `root`/project, seal `spring` and train `model` on it."""
    project = make_library(root)
    seal(project)
    train(project)
    return project


def seal(project: Project) -> None:
    """Clear and seal the library as `spring`."""
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, "spring", policy, comparison)


def train(project: Project, name: str = "model") -> LicensedModel:
    """Train the tiny model on `spring`."""
    begun = begin_run(project, "spring", CONFIG, name=name, on_clip=lambda _n: None)
    return complete_run(project, begun, on_step=lambda _r: None) if isinstance(begun, LicensedRun) else begun


def sea(seed: int) -> ClipRequest:
    """A small clip of the sea."""
    return ClipRequest(prompt="the sea", seed=seed, height=64, width=64)


def generate(project: Project, *, seed: int = 0) -> PublishedClip:
    """Publish one clip. What so small a model draws cannot be compared: the screen is told to let it pass."""
    generator = open_generator(project, "model", open_screener=passing)
    clip = publish_clip(project, generator, sea(seed), folder=project.outputs)
    assert isinstance(clip, PublishedClip)
    return clip
