"""Energy: what the counters of the hardware say, where they can be read.

RAPL counts the processor packages (and memory where it has a domain of its own) under `/sys/class/powercap`, in
microjoules; since 2020 kernels let only the administrator read it. NVML counts a GPU in millijoules since its driver
was loaded (Volta and later). Both count everything that ran in the meantime, and neither counts the power supply, fans,
disks or network.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

RAPL_FOLDER = Path("/sys/class/powercap")
_LEFT_OUT = "other work on the machine is counted too; power supply, fans, disks and network are not"


@dataclass(frozen=True)
class EnergyReading:
    """Counters at one moment, in joules, by name; empty where there are none that can be read."""

    joules: Mapping[str, float]
    wraps: Mapping[str, float] = field(default_factory=dict)
    """Where a counter starts again from 0."""
    reason: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class Energy:
    """What was used between two readings."""

    joules: float | None
    method: str
    """What was counted and what was left out, or why nothing was."""


def read_energy(rapl_folder: Path = RAPL_FOLDER, gpu_uuid: str | None = None) -> EnergyReading:
    """Read the counters of the processors and, if one is named, of the GPU (`GPU-...`)."""
    joules: dict[str, float] = {}
    wraps: dict[str, float] = {}
    reasons: list[str] = []
    zones = sorted(rapl_folder.glob("intel-rapl:*"))
    if not zones:
        reasons.append("this machine shows no energy counters of its processors")
    for zone in zones:
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            if not name.startswith(("package", "dram")):
                continue  # cores and graphics are part of their package, `psys` is the sum of all
            joules[f"RAPL {zone.name} {name}"] = int((zone / "energy_uj").read_text(encoding="ascii")) / 1e6
            wrap = int((zone / "max_energy_range_uj").read_text(encoding="ascii")) / 1e6
            wraps[f"RAPL {zone.name} {name}"] = wrap
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            reasons.append(f"the energy counters of the processors cannot be read ({why})")
            break
    if gpu_uuid is not None:
        gpu_joules = _gpu_joules(gpu_uuid)
        if gpu_joules is None:
            reasons.append("the GPU shows no energy counter")
        else:
            joules[f"NVML {gpu_uuid}"] = gpu_joules
    return EnergyReading(joules, wraps, "; ".join(dict.fromkeys(reasons)))


def energy_between(begin: EnergyReading, end: EnergyReading) -> Energy:
    """Return the energy between two readings; none unless every counter was there both times."""
    if not begin.joules or set(begin.joules) != set(end.joules):
        return Energy(None, end.reason or begin.reason or "the energy counters changed meanwhile")
    used = 0.0
    for name, start in begin.joules.items():
        step = end.joules[name] - start
        used += step if step >= 0 else step + begin.wraps.get(name, 0.0)
    missing = f"; {end.reason}" if end.reason else ""
    return Energy(used, f"counters {', '.join(begin.joules)}; {_LEFT_OUT}{missing}")


def _gpu_joules(uuid: str) -> float | None:
    """Return what NVML counts for the GPU since its driver was loaded."""
    with suppress(OSError, AttributeError):  # no driver here, or one from before the counter
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if nvml.nvmlInit_v2() != 0:
            return None
        try:
            device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
            found = nvml.nvmlDeviceGetHandleByUUID(uuid.encode("ascii"), ctypes.byref(device))
            if (
                found == 0
                and nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)) == 0
            ):
                return millijoules.value / 1000
        finally:
            nvml.nvmlShutdown()
    return None
