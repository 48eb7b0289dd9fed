"""Compute records: what is counted, what is left out, and what it costs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from db.errors import ConfigError
from tests.training.cleared_footage import TINY
from training.errors import TrainingConfigError
from training.quality.effort import compute_from_json, gpu_uuid, stopwatch
from training.quality.energy import energy_between, read_energy
from training.quality.flops import count_flops
from training.tokenizer import PcaTokenizer
from training.vocabulary import Vocabulary
from training.weights import TrainedModel


def zone(folder: Path, number: str, name: str, microjoules: int) -> Path:
    """Write a counter as the kernel shows it."""
    path = folder / f"intel-rapl:{number}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text("262143328850\n")
    return path


def test_packages_and_memory_are_counted_and_parts_of_them_are_not(tmp_path: Path) -> None:
    for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "psys")):
        zone(tmp_path, number, name, 5_000_000)
    begin = read_energy(tmp_path)
    for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "psys")):
        zone(tmp_path, number, name, 7_500_000)
    used = energy_between(begin, read_energy(tmp_path))
    assert used.joules == pytest.approx(5.0)
    assert "package-0" in used.method
    assert "psys" not in used.method
    assert "power supply" in used.method


def test_a_counter_that_starts_again_is_followed(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0", 262_143_000_000)
    begin = read_energy(tmp_path)
    zone(tmp_path, "0", "package-0", 671_150)
    assert energy_between(begin, read_energy(tmp_path)).joules == pytest.approx(1.0)


def test_without_counters_energy_is_not_measured(tmp_path: Path) -> None:
    with stopwatch(rapl_folder=tmp_path) as watch:
        pass
    energy = watch.record().measure("energy_joules")
    assert energy.value is None
    assert "no energy counters" in energy.reason


def test_a_counter_that_says_nothing_readable_is_no_zero(tmp_path: Path) -> None:
    (zone(tmp_path, "0", "package-0", 1) / "energy_uj").write_text("secret")
    used = energy_between(read_energy(tmp_path), read_energy(tmp_path))
    assert used.joules is None
    assert "cannot be read" in used.method


def test_a_gpu_without_a_counter_is_named(tmp_path: Path) -> None:
    reading = read_energy(tmp_path, gpu_uuid="GPU-00000000-0000-0000-0000-000000000000")
    assert "the GPU shows no energy counter" in reading.reason


def test_a_processor_has_no_gpu_name() -> None:
    assert gpu_uuid("cpu") is None


def test_time_and_memory_are_measured_and_the_record_survives_json() -> None:
    with stopwatch() as watch:
        sum(number * number for number in range(200_000))
    record = watch.record(flop=1234)
    for name in ("wall_seconds", "cpu_seconds"):
        value = record.measure(name).value
        assert value is not None
        assert value > 0
    if sys.platform == "linux":
        peak = record.measure("peak_memory_bytes").value
        assert peak is not None
        assert 1e7 < peak < 1e12
    assert record.measure("flop").value == 1234
    assert compute_from_json(record.as_json()) == record


def test_cost_takes_a_price() -> None:
    with stopwatch() as watch:
        pass
    record = watch.record()
    assert record.measure("cost").reason == "no price of an hour was given"
    priced = record.priced(3600.0, "EUR").measure("cost")
    assert priced.value == pytest.approx(record.measure("wall_seconds").value)
    assert priced.definition.unit == "EUR"
    assert "3600 EUR an hour" in priced.definition.method
    with pytest.raises(ConfigError, match="price"):
        record.priced(float("nan"))


def test_a_record_leaves_nothing_out() -> None:
    with stopwatch() as watch:
        pass
    record = watch.record()
    with pytest.raises(TrainingConfigError, match="in that order"):
        dataclasses.replace(record, measures=record.measures[:-1])


def tiny_model() -> TrainedModel:
    """Return a model whose weights nobody needs."""
    import torch

    from training.model import VideoDiT

    patch = (TINY.patch_frames, TINY.patch_height, TINY.patch_width)
    size = 3 * patch[0] * patch[1] * patch[2]
    num = TINY.num_components
    tokenizer = PcaTokenizer(
        clip_shape=(TINY.num_frames, TINY.height, TINY.width),
        patch_shape=patch,
        mean_P=torch.zeros(size),
        basis_KP=torch.zeros(num, size),
        scale_K=torch.ones(num),
    )
    vocabulary = Vocabulary(("discs", "sand"))
    with torch.device("meta"):
        model = VideoDiT(TINY, num_components=num, num_ids=vocabulary.num_ids)
    return TrainedModel(config=TINY, model=model, tokenizer=tokenizer, vocabulary=vocabulary, origin={})


def test_flops_are_those_of_the_formula() -> None:
    """By hand: N tokens, L words, D features, two passes a step; every product of matrices counts 2 a term."""
    flop = count_flops(tiny_model(), TINY.num_frames, TINY.height, TINY.width, 3, 2.0)
    tokens, words, width, num = 4, TINY.max_words, TINY.model_width, TINY.num_components
    keys = tokens + words
    linear = tokens * num * width  # in
    linear += 2 * width * width + 2 * width * width  # time, modulation of the output
    linear += 6 * width * width + tokens * width * width + keys * 2 * width * width + tokens * width * width
    linear += 2 * tokens * 4 * width * width + tokens * width * num  # perceptron, out
    attention = 2 * tokens * keys * width
    passes = 3 * 2 * 2 * (linear + attention)
    decoding = 2 * tokens * num * (3 * TINY.patch_frames * TINY.patch_height * TINY.patch_width)
    assert flop == passes + decoding


def test_flops_grow_with_steps_and_size() -> None:
    model = tiny_model()
    once = count_flops(model, TINY.num_frames, TINY.height, TINY.width, 1, 2.0)
    twice = count_flops(model, TINY.num_frames, TINY.height, TINY.width, 2, 2.0)
    wide = count_flops(model, TINY.num_frames, TINY.height, 2 * TINY.width, 1, 2.0)
    assert once < twice < 2 * once
    assert wide > 1.5 * once
    with pytest.raises(TrainingConfigError):
        count_flops(model, TINY.num_frames, TINY.height, TINY.width + 1, 1, 2.0)
    with pytest.raises(ConfigError, match="at least 1 step"):
        count_flops(model, TINY.num_frames, TINY.height, TINY.width, 0, 2.0)
