"""Effort: what making a clip took, measured on the machine that made it, and what that cost if an hour has a price."""

from __future__ import annotations

import dataclasses
import math
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import ConfigError
from training.errors import TrainingConfigError
from training.quality import definitions as d
from training.quality.definitions import Measure, measure_from_json
from training.quality.energy import RAPL_FOLDER, energy_between, read_energy


@dataclass(frozen=True, kw_only=True)
class ComputeRecord:
    """What making a clip took."""

    machine: str
    """Processor and GPU as the system names them."""
    measures: tuple[Measure, ...]
    """One of each of `definitions.COMPUTE_DEFINITIONS`, in that order."""

    def __post_init__(self) -> None:
        """Refuse a record that leaves something out without saying so."""
        if tuple(measure.definition.name for measure in self.measures) != _NAMES:
            raise TrainingConfigError(f"a compute record has {', '.join(_NAMES)}, in that order")

    def measure(self, name: str) -> Measure:
        """Return one measure by its name."""
        return self.measures[_NAMES.index(name)]

    def as_json(self) -> dict[str, Any]:
        """Return it as a card holds it."""
        return {
            "machine": self.machine,
            "measures": {measure.definition.name: measure.as_json() for measure in self.measures},
        }

    def priced(self, price_per_hour: float, currency: str = "") -> ComputeRecord:
        """Return the record with the cost of its time. Raises `ConfigError` for a price below 0."""
        if not (math.isfinite(price_per_hour) and price_per_hour >= 0):
            raise ConfigError(f"the price of an hour is {price_per_hour}, expected 0 or more")
        seconds = self.measure(d.WALL_SECONDS.name).value
        if seconds is None:
            cost = d.COST.missing("the time was not measured")
        else:
            unit = dataclasses.replace(d.COST, unit=currency)
            method = f"{d.COST.method[:-1]}: {price_per_hour:g} {currency}".rstrip() + " an hour."
            cost = unit.value(seconds / 3600 * price_per_hour, method=method)
        return dataclasses.replace(self, measures=(*self.measures[:-1], cost))


_NAMES = tuple(definition.name for definition in d.COMPUTE_DEFINITIONS)


class Stopwatch:
    """Measures what happens inside `stopwatch()`; `record` is there afterwards."""

    def __init__(self) -> None:
        self._measures: tuple[Measure, ...] | None = None

    def record(self, *, flop: int | None = None) -> ComputeRecord:
        """Return what was measured, with the floating-point operations if somebody counted them."""
        assert self._measures is not None, "the block that is measured has not ended"
        counted = d.FLOP.missing("nobody counted them") if flop is None else d.FLOP.value(flop)
        cost = d.COST.missing("no price of an hour was given")
        return ComputeRecord(machine=machine_name(), measures=(counted, *self._measures, cost))


@contextmanager
def stopwatch(*, gpu_uuid: str | None = None, rapl_folder: Path = RAPL_FOLDER) -> Iterator[Stopwatch]:
    """Measure the time, CPU time, memory and energy of the block."""
    watch = Stopwatch()
    energy = read_energy(rapl_folder, gpu_uuid)
    wall, cpu = time.perf_counter(), time.process_time()
    yield watch
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    used = energy_between(energy, read_energy(rapl_folder, gpu_uuid))
    watch._measures = (
        d.WALL_SECONDS.value(wall),
        d.CPU_SECONDS.value(cpu),
        _peak_memory(),
        d.ENERGY.missing(used.method) if used.joules is None else d.ENERGY.value(used.joules, method=used.method),
    )  # fmt: skip


def compute_from_json(record: Mapping[str, Any]) -> ComputeRecord:
    """Read back what `ComputeRecord.as_json` gave. Raises `TrainingConfigError` if it is not one."""
    found, machine = record.get("measures"), record.get("machine")
    if not isinstance(found, Mapping) or not isinstance(machine, str) or set(found) != set(_NAMES):
        raise TrainingConfigError("the compute record is not one")
    return ComputeRecord(
        machine=machine, measures=tuple(measure_from_json(name, found[name]) for name in _NAMES)
    )


def gpu_uuid(device: str) -> str | None:
    """Return NVML's name of the GPU that `device` is for torch; `None` for a processor."""
    import torch

    chosen = torch.device(device)
    if chosen.type != "cuda":
        return None
    return f"GPU-{torch.cuda.get_device_properties(chosen).uuid}"


def _peak_memory() -> Measure:
    try:
        import resource
    except ImportError:
        return d.PEAK_MEMORY.missing("this system does not say how much memory a process has held")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes, macOS in bytes.
    return d.PEAK_MEMORY.value(peak if platform.system() == "Darwin" else peak * 1024)


def machine_name() -> str:
    """Return processor and GPU as the system names them."""
    import torch

    processor = f"{platform.machine()}, {torch.get_num_threads()} threads"
    return f"{processor}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else processor
