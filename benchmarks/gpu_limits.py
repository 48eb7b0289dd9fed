"""Measure what a GPU reaches here against what it could reach: matrix products, memory, embedding, decoding, search.

    python -m benchmarks.gpu_limits [--rows N ...] [--dim D] [--footage FILE] [--device DEVICE]

Prints one Markdown table. The limits are measured in the same run: a large half-precision matrix product and a copy
within the device's memory. torch is all it needs; what else is missing (faiss with GPUs, the embedded encoder,
torchcodec) is reported as not measured, with the reason. Exits 3 where there is no GPU, unless `--device cpu` asks for
a run on the CPU, which shows only that the script works.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.index.torch_flat import nearest_rows

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_REPEATS = 10
_CLIP_FRAMES = 10
_BATCH_QUERIES = 1024
_NEIGHBOURS = 64
_CHUNK_ROWS = 262_144
_EMBED_BATCHES = 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    share: str = ""
    """Of the limit it is held against, with the limit's name."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how large."""

    device: torch.device
    dim: int
    num_rows: tuple[int, ...]
    matrix_side: int
    copy_bytes: int
    embed_batch: int
    footage: Path | None

    @property
    def dtype(self) -> torch.dtype:
        """Half precision, but on a CPU single: few have a half-precision matrix product."""
        import torch

        return torch.float32 if self.device.type == "cpu" else torch.float16


def timed(bench: Bench, run: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the median seconds of a call, the device waited for; two calls before warm it up."""
    import torch

    def _wait() -> None:
        if bench.device.type == "cuda":
            torch.cuda.synchronize(bench.device)

    seconds = []
    for number in range(repeats + 2):
        _wait()
        begin = time.perf_counter()
        run()
        _wait()
        if number >= 2:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def matrix_limit(bench: Bench) -> float:
    """Return the floating-point operations a second of a large square matrix product."""
    import torch

    side = bench.matrix_side
    a = torch.randn(side, side, device=bench.device, dtype=bench.dtype)
    b = torch.randn(side, side, device=bench.device, dtype=bench.dtype)
    return 2 * side**3 / timed(bench, lambda: a @ b)


def copy_limit(bench: Bench) -> float:
    """Return the bytes a second that a copy within the device's memory reads and writes."""
    import torch

    source = torch.zeros(bench.copy_bytes, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    return 2 * bench.copy_bytes / timed(bench, lambda: target.copy_(source))


def random_rows(bench: Bench, num_rows: int) -> torch.Tensor:
    """Draw unit rows ND on the device, in chunks, from a fixed seed."""
    import torch

    generator = torch.Generator(bench.device).manual_seed(1)
    rows = torch.empty(num_rows, bench.dim, device=bench.device, dtype=bench.dtype)
    for start in range(0, num_rows, _CHUNK_ROWS):
        part = rows[start : start + _CHUNK_ROWS]
        drawn = torch.randn(part.shape, generator=generator, device=bench.device)
        part.copy_(torch.nn.functional.normalize(drawn, dim=1))
    return rows


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the device reaches at best."""

    matrix: float
    """Floating-point operations a second."""
    bandwidth: float
    """Bytes a second."""


@dataclass(frozen=True, kw_only=True)
class FlatIndex:
    """An exact index to be measured, and its queries in the form it takes them."""

    name: str
    search: Callable[[Any], object]
    clip: Any
    batch: Any
    num_values: int
    num_bytes: int


def search_rows(bench: Bench, limits: Limits) -> Iterator[Row]:
    """Measure flat search in torch and in faiss at each number of rows."""
    for num_rows in bench.num_rows:
        name = f"{num_rows:.0e} rows x {bench.dim}"
        try:
            rows_ND = random_rows(bench, num_rows)
            yield from _flat_lines(bench, _torch_flat(name, rows_ND), limits)
            yield from _flat_lines(bench, _faiss_flat(bench, name, rows_ND), limits)
        except (ImportError, RuntimeError) as exc:
            yield _missing(f"flat search, {name}", exc)


def _torch_flat(name: str, rows_ND: torch.Tensor) -> FlatIndex:
    return FlatIndex(
        name=f"torch flat, {name}",
        search=lambda queries: nearest_rows(rows_ND, queries, _NEIGHBOURS),
        clip=rows_ND[:_CLIP_FRAMES].clone(),
        batch=rows_ND[:_BATCH_QUERIES].clone(),
        num_values=rows_ND.numel(),
        num_bytes=rows_ND.numel() * rows_ND.element_size(),
    )


def _faiss_flat(bench: Bench, name: str, rows_ND: torch.Tensor) -> FlatIndex:
    """Fill a `GpuIndexFlatIP` in half precision. Raises `RuntimeError` if faiss sees no GPU or has no room there."""
    import faiss

    if faiss.get_num_gpus() == 0:
        raise RuntimeError("faiss sees no GPU")
    resources = faiss.StandardGpuResources()
    config = faiss.GpuIndexFlatConfig()
    config.device, config.useFloat16 = bench.device.index or 0, True
    index = faiss.GpuIndexFlatIP(resources, bench.dim, config)
    for start in range(0, len(rows_ND), _CHUNK_ROWS):
        index.add(rows_ND[start : start + _CHUNK_ROWS].float().cpu().numpy())
    return FlatIndex(
        name=f"faiss flat fp16, {name}",
        search=lambda queries: index.search(queries, _NEIGHBOURS),
        clip=rows_ND[:_CLIP_FRAMES].float().cpu().numpy(),
        batch=rows_ND[:_BATCH_QUERIES].float().cpu().numpy(),
        num_values=rows_ND.numel(),
        num_bytes=2 * rows_ND.numel(),
    )


def _flat_lines(bench: Bench, index: FlatIndex, limits: Limits) -> Iterator[Row]:
    seconds = timed(bench, lambda: index.search(index.clip))
    rate = index.num_bytes / seconds
    yield Row(
        what=f"{index.name}: one clip, {_CLIP_FRAMES} frames",
        measured=f"{1e3 * seconds:.2f} ms, {rate / 1e9:.0f} GB/s scanned",
        share=f"{rate / limits.bandwidth:.0%} of bandwidth",
    )
    seconds = timed(bench, lambda: index.search(index.batch), 3)
    rate = 2 * index.num_values * len(index.batch) / seconds
    yield Row(
        what=f"{index.name}: batch of {len(index.batch)} frames",
        measured=f"{len(index.batch) / seconds:.0f} frames/s, {rate / 1e12:.2f} TFLOP/s",
        share=f"{rate / limits.matrix:.0%} of matrix",
    )


def embedding_rate(bench: Bench) -> float:
    """Return frames a second through the embedded encoder, from pictures of its own input size in host memory."""
    from ingest.encoders.compute import Compute
    from ingest.encoders.lite0 import open_lite0

    compute = Compute(device=bench.device, dtype=bench.dtype, reason="benchmark")
    encoder = open_lite0(compute)
    random = np.random.default_rng(1)
    images: list[NDArray[np.uint8]] = [
        random.integers(0, 256, (224, 398, 3), dtype=np.uint8) for _ in range(bench.embed_batch)
    ]
    return len(images) / timed(bench, lambda: encoder.embed(images), _EMBED_BATCHES)


def make_footage(path: Path, *, width: int, height: int, num_frames: int) -> None:
    """Write H.264 footage that moves and has texture everywhere."""
    import av

    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (height // 8 + 1, 2 * width // 8 + 1, 3), dtype=np.uint8)
    wide = np.kron(picture, np.ones((8, 8, 1), dtype=np.uint8))
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            start = number * 3 % width
            part = np.ascontiguousarray(wide[:height, start : start + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        container.mux(stream.encode())


def cpu_decode_rate(path: Path) -> float:
    """Return frames a second that PyAV decodes with all cores, without converting them."""
    import av

    begin = time.perf_counter()
    with av.open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        num_frames = sum(1 for _ in container.decode(video=0))
    return num_frames / (time.perf_counter() - begin)


def gpu_decode_rate(path: Path, device: torch.device) -> float:
    """Return frames a second that torchcodec decodes on the GPU's decoder into its memory."""
    decoders: Any = importlib.import_module("torchcodec.decoders")  # not among the dependencies
    decoder = decoders.VideoDecoder(str(path), device=str(device), seek_mode="approximate")
    decoder.get_frame_at(0)
    begin = time.perf_counter()
    num_frames = 0
    for start in range(0, len(decoder), 32):
        num_frames += len(decoder.get_frames_in_range(start, min(start + 32, len(decoder))).data)
    return num_frames / (time.perf_counter() - begin)


def media_rows(bench: Bench, work: Path) -> Iterator[Row]:
    """Measure embedding, and decoding of the footage given or made."""
    rate = None
    try:
        rate = embedding_rate(bench)
        yield Row(what=f"embedding, batch of {bench.embed_batch}", measured=f"{rate:.0f} frames/s")
    except Exception as exc:  # noqa: BLE001 (whatever a machine lacks, the other lines are wanted)
        yield _missing("embedding", exc)
    path = bench.footage or work / "made.mp4"
    rates: list[tuple[str, Callable[[], float]]] = [
        ("decode, PyAV on the CPU", lambda: cpu_decode_rate(path))
    ]
    if bench.device.type == "cuda":
        rates.append(("decode, NVDEC through torchcodec", lambda: gpu_decode_rate(path, bench.device)))
    for what, measure in rates:
        try:
            if not path.exists():
                width, height = (1920, 1080) if bench.device.type == "cuda" else (320, 180)
                make_footage(path, width=width, height=height, num_frames=600 if width == 1920 else 30)
            decoded = measure()
        except Exception as exc:  # noqa: BLE001 (as above)
            yield _missing(what, exc)
            continue
        share = "" if rate is None else f"embedding is {rate / decoded:.2g} times as fast"
        yield Row(what=what, measured=f"{decoded:.0f} frames/s", share=share)


def _missing(what: str, reason: object) -> Row:
    lines = str(reason).splitlines() or [type(reason).__name__]
    return Row(what=what, measured=f"not measured: {lines[0].replace('|', '/')}")


def table(bench: Bench, work: Path) -> Iterator[str]:
    """Yield the table, a line as soon as it is measured."""
    limits = Limits(matrix=matrix_limit(bench), bandwidth=copy_limit(bench))
    yield "| what | measured | share of the limit |"
    yield "|---|---|---|"
    yield f"| limit: matrix product, side {bench.matrix_side} | {limits.matrix / 1e12:.2f} TFLOP/s | |"
    yield f"| limit: copy within memory | {limits.bandwidth / 1e9:.0f} GB/s | |"
    for rows in (search_rows(bench, limits), media_rows(bench, work)):
        for row in rows:
            yield f"| {row.what} | {row.measured} | {row.share} |"


def _bench(options: argparse.Namespace) -> Bench:
    import torch

    device = torch.device(options.device)
    is_gpu = device.type == "cuda"
    return Bench(
        device=device,
        dim=options.dim,
        num_rows=tuple(options.rows),
        matrix_side=8192 if is_gpu else 256,
        copy_bytes=2**31 if is_gpu else 2**20,
        embed_batch=256 if is_gpu else 2,
        footage=options.footage,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--footage", type=Path, help="a video to decode; else 1080p H.264 is made")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(arguments)
    try:
        import torch
    except ImportError as exc:
        print(f"torch is not installed: {exc}", file=sys.stderr)
        return 3
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA GPU here: nothing was measured", file=sys.stderr)
        return 3
    bench = _bench(options)
    name = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else "CPU, a trial run"
    print(f"{name}, torch {torch.__version__}, {bench.dim} dimensions, {bench.dtype}\n")
    with tempfile.TemporaryDirectory() as work:
        for line in table(bench, Path(work)):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
