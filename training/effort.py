"""What a run took: operations, time, energy, over all the processes that carried it.

A `Meter` runs beside the training loop and appends to `compute.jsonl`, when the run is saved, what was spent since.
`run_effort` adds the lines up when the run has finished. Steps that were taken again after a kill are counted again, as
they were spent again; what a killed process spent after it last saved the run is not known and not counted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.canonical import canonical_json
from training.adapters.base_record import BaseRecord
from training.errors import ProofError
from training.quality.effort import gpu_uuid, machine_name
from training.quality.energy import RAPL_FOLDER, Energy, EnergyReading, energy_between, read_energy

LINES_NAME = "compute.jsonl"
EFFORT_NAME = "compute.json"

GPAI_FLOP = 1e23
"""European Commission, Guidelines on the scope of the obligations for general-purpose AI models (C(2025) 5045, 18 July
2025): more, in a model that draws video from text, is an indication that it is one of them."""

_MODIFIER_SHARE = 1 / 3
"""Same guidelines: who modifies a general-purpose model with more than a third of its operations provides one."""
_LEFT_OUT = (
    "operations: elementwise work, the optimiser, fitting the tokenizer, decoding footage, drawing samples",
    "CPU time: other processes",
    "GPU time: how busy the GPU was; counted is the time for which the run held it",
    "what a killed process spent after it last saved the run",
)


class Meter:
    """Measures what a process spends on a run, from when it is made."""

    def __init__(
        self, folder: Path, *, device: str, num_processes: int = 1, rapl_folder: Path = RAPL_FOLDER
    ) -> None:
        """Begin to measure. `folder` is the run's; a last line that a kill cut off is dropped.

        `num_processes` carry the run, each with a device of its own kind; this is the first of them.
        """
        self._path = folder / LINES_NAME
        self._gpu = gpu_uuid(device)
        self._num_processes = num_processes
        self._rapl_folder = rapl_folder
        self.step = 0
        """After how many steps the run was when it was noted last."""
        self._read()
        if self._path.exists():
            os.truncate(self._path, self._path.read_bytes().rfind(b"\n") + 1)

    def begin_at(self, step: int) -> None:
        """Say after how many steps the run was taken up."""
        self.step = step

    def note(self, step: int) -> None:
        """Append what was spent since the note before, with which the run came to `step` steps."""
        energy, wall, cpu = self._energy, self._wall, self._cpu
        self._read()
        used = self._energy_used(energy)
        seconds = round(self._wall - wall, 3)
        line = {
            "from_step": self.step,
            "to_step": step,
            "wall_seconds": seconds,
            "cpu_seconds": round(self._cpu - cpu, 3),
            "gpu_seconds": 0.0 if self._gpu is None else round(seconds * self._num_processes, 3),
            "energy_joules": None if used.joules is None else round(used.joules, 3),
            "energy_method": used.method,
            "machine": machine_name(),
        }
        self.step = step
        with self._path.open("ab") as file:
            file.write(canonical_json(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _energy_used(self, before: EnergyReading) -> Energy:
        if self._num_processes > 1:
            return Energy(None, f"{self._num_processes - 1} other processes have counters of their own")
        return energy_between(before, self._energy)

    def _read(self) -> None:
        self._energy = read_energy(self._rapl_folder, self._gpu)
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def read_lines(folder: Path) -> list[Mapping[str, Any]]:
    """Return what the meters of a run noted, oldest first. Raises `ProofError` for a line that is none."""
    path = folder / LINES_NAME
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    except ValueError as exc:
        raise ProofError(f"{path}: cannot be read: {exc}") from exc


def run_effort(
    lines: Sequence[Mapping[str, Any]],
    *,
    num_steps: int,
    flop_per_step: int,
    flop_method: str,
    base: BaseRecord | None = None,
) -> dict[str, Any]:
    """Return the compute record of a finished run of `num_steps` steps, as JSON values.

    `base` is the model that was fine-tuned; the record then says how the operations stand to those of its training.
    """
    noted = {step for line in lines for step in range(line["from_step"], line["to_step"])}
    num_taken = sum(line["to_step"] - line["from_step"] for line in lines) + num_steps - len(noted)
    flop = num_taken * flop_per_step
    return {
        "flop": flop,
        "flop_method": flop_method,
        "flop_per_step": flop_per_step,
        "num_steps": num_steps,
        "num_steps_taken": num_taken,
        "num_steps_not_metered": num_steps - len(noted),
        **{name: round(sum(line[name] for line in lines), 3) for name in _SECONDS},
        **_energy_of(lines),
        "machines": list(dict.fromkeys(line["machine"] for line in lines)),
        "left_out": list(_LEFT_OUT),
        "general_purpose": {
            "threshold_flop": GPAI_FLOP,
            "reaches_threshold": flop > GPAI_FLOP,
            "source": "European Commission, C(2025) 5045, 18 July 2025: an indication, not the definition",
        },
    } | ({} if base is None else {"modification": _modification(flop, base)})


def _modification(flop: int, base: BaseRecord) -> dict[str, Any]:
    """Say whether so many operations make who modified a general-purpose model a provider of one."""
    whole = GPAI_FLOP if base.training_flop is None else base.training_flop
    return {
        "base": base.name,
        "base_training_flop": base.training_flop,
        "threshold_flop": whole * _MODIFIER_SHARE,
        "reaches_threshold": flop > whole * _MODIFIER_SHARE,
        "source": "European Commission, C(2025) 5045, 18 July 2025: more than a third of the operations that training "
        "the base took, and of 10^23 where these are not stated",
    }


_SECONDS = ("wall_seconds", "cpu_seconds", "gpu_seconds")


def _energy_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add the energy up; none unless all of it was measured."""
    methods = list(dict.fromkeys(line["energy_method"] for line in lines))
    missing = [line["energy_method"] for line in lines if line["energy_joules"] is None]
    if missing or not lines:
        reasons = list(dict.fromkeys(missing)) or ["nobody metered the run"]
        return {"energy_joules": None, "energy_method": "not measured: " + "; ".join(reasons)}
    total = round(sum(line["energy_joules"] for line in lines), 3)
    return {"energy_joules": total, "energy_method": "; ".join(methods)}
