"""Measure signing beside the bare library: rates for a clip with four manifests, and memory for large files.

    python -m benchmarks.signing [--times 40] [--large]

The clip is small (25 KB) and carries clip, model, snapshot and source: what takes time is the credentials. Bare means
one `Builder.sign` without reading back, or one `Reader`, with our settings, from file to file. Ours also guards the
container, refuses what is signed already, reads back, syncs to disk and renames; `verify` is the whole of our
verification. With `--large`, files of 25 KB, 100 and 300 MB are signed and verified once, each step in a process of its
own, whose peak memory is printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.credentials import library
from governance.credentials.engine import (
    Ingredient,
    ingredient_from_sidecar,
    read_store,
    sign_embedded,
    sign_sidecar,
)
from governance.manifests import manifest as m
from governance.signing.editing import publish_signed
from governance.signing.keys import TRUST_ANCHOR_FILE, load_signing_identity
from governance.trust.anchors import load_trust_anchors
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.signed_chain import (
    VERSION,
    Signer,
    clip_statement,
    make_signer,
    model_ingredient,
    model_statement,
    sign_model,
    snapshot_document,
    snapshot_ingredient,
    snapshot_statement,
    write_clip,
)
from tests.governance.signing.large_clip import write_large_clip

_LARGE_BYTES = (25_000, 100_000_000, 300_000_000)


@dataclass(frozen=True)
class Subject:
    """A clip to sign, with all that goes into it."""

    signer: Signer
    unsigned: Path
    manifest: dict[str, object]
    model: Ingredient


def make_files(folder: Path, num_bytes: int) -> None:
    """Write keys, an unsigned clip of about `num_bytes`, and the signed chain of a source, a snapshot and a model."""
    signer = make_signer(folder / "keys")
    source, snapshot, weights = (
        folder / name for name in ("source.bin", "snapshot.json", "weights.safetensors")
    )
    source.write_bytes(b"a source clip" * 100)
    snapshot.write_bytes(snapshot_document())
    weights.write_bytes(b"weights of a very small model" * 40)
    about_snapshot = snapshot_statement(snapshot.read_bytes())
    manifest = m.snapshot_manifest(about_snapshot, generator_version=VERSION)
    _sign_data(source, manifest, signer, (), media_type=m.MODEL_MEDIA_TYPE)
    source_ingredient = ingredient_from_sidecar(
        source,
        sidecar_of(source),
        title="source",
        label="source",
        data_types=m.SNAPSHOT_DATA_TYPES,
        media_type=m.MODEL_MEDIA_TYPE,
        trust=signer.trust,
    )
    _sign_data(snapshot, manifest, signer, (source_ingredient,), media_type=m.SNAPSHOT_MEDIA_TYPE)
    about_model = model_statement(weights.read_bytes(), about_snapshot.merkle_root)
    sign_model(weights, about_model, signer, snapshot=snapshot_ingredient(snapshot, signer))
    write_clip(folder / "small.mp4")
    write_large_clip(folder / "small.mp4", folder / "unsigned.mp4", num_bytes=num_bytes)


def load_subject(folder: Path) -> Subject:
    """Read what `make_files` wrote."""
    keys, weights = folder / "keys", folder / "weights.safetensors"
    signer = Signer(load_signing_identity(keys), load_trust_anchors([keys / TRUST_ANCHOR_FILE]))
    root = snapshot_statement(snapshot_document()).merkle_root
    return Subject(
        signer,
        folder / "unsigned.mp4",
        m.clip_manifest(clip_statement(root), generator_version=VERSION),
        model_ingredient(weights, model_statement(weights.read_bytes(), root), signer),
    )


def _sign_data(
    path: Path,
    manifest: dict[str, object],
    signer: Signer,
    ingredients: Sequence[Ingredient],
    *,
    media_type: str,
) -> None:
    sign_sidecar(
        manifest,
        path,
        sidecar_of(path),
        media_type=media_type,
        identity=signer.identity,
        trust=signer.trust,
        ingredients=ingredients,
    )


def sign_bare(subject: Subject, destination: Path) -> None:
    """Sign with the library alone."""
    size = subject.unsigned.stat().st_size
    with (
        subject.unsigned.open("rb") as source,
        destination.open("w+b") as signed,
        library.manifest_builder(
            subject.manifest, [subject.model], subject.signer.trust, num_bytes=size
        ) as builder,
    ):
        library.sign(builder, subject.signer.identity, m.CLIP_MEDIA_TYPE, source, signed, subject="benchmark")


def sign_ours(subject: Subject, destination: Path) -> None:
    """Sign as cleartitle does."""
    sign_embedded(
        subject.manifest,
        subject.unsigned,
        destination,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=subject.signer.identity,
        trust=subject.signer.trust,
        ingredients=[subject.model],
    )


def read_bare(subject: Subject, signed: Path) -> None:
    """Validate with the library alone."""
    from c2pa import Reader

    with (
        signed.open("rb") as file,
        Reader(m.CLIP_MEDIA_TYPE, file, context=library.context_of(subject.signer.trust)) as reader,
    ):
        assert json.loads(reader.json())["validation_state"] == "Trusted"


def verify_ours(subject: Subject, signed: Path) -> None:
    """Verify as cleartitle does."""
    assert verify_file(signed, subject.signer.trust).outcome is VerdictOutcome.PASS


def _milliseconds(function: Callable[[int], object], times: int) -> float:
    """Return the median time of a call, the first left out."""
    taken = []
    for number in range(times + 1):
        started = time.perf_counter()
        function(number)
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken[1:])


def measure_rates(folder: Path, times: int) -> None:
    """Print what each step takes for the small clip."""
    make_files(folder, _LARGE_BYTES[0])
    subject = load_subject(folder)
    signed, identity, trust = folder / "signed.mp4", subject.signer.identity, subject.signer.trust
    sign_ours(subject, signed)
    manifests = read_store(signed, trust, media_type=m.CLIP_MEDIA_TYPE).manifests
    print(f"clip of {signed.stat().st_size:,} bytes with {len(manifests)} manifests, median of {times} calls")
    steps: dict[str, Callable[[int], object]] = {
        "sign, bare": lambda number: sign_bare(subject, folder / f"bare{number}.mp4"),
        "sign, ours": lambda number: sign_ours(subject, folder / f"ours{number}.mp4"),
        "publish again, ours": lambda number: publish_signed(
            signed, folder / f"published{number}.mp4", identity=identity, trust=trust
        ),
        "read, bare": lambda _number: read_bare(subject, signed),
        "verify, ours": lambda _number: verify_ours(subject, signed),
    }
    for name, step in steps.items():
        taken = _milliseconds(step, times)
        print(f"{name:<22}{taken:8.1f} ms{1000 / taken:8.1f} /s")


def measure_large(folder: Path) -> None:
    """Print time and peak memory of signing and verifying files of several sizes, each in a process of its own."""
    for num_bytes in _LARGE_BYTES:
        own = folder / str(num_bytes)
        own.mkdir()
        make_files(own, num_bytes)
        for step in ("sign", "verify"):
            arguments = [sys.executable, "-m", "benchmarks.signing", "--child", step, str(own)]
            done = subprocess.run(arguments, capture_output=True, text=True, check=True)
            print(f"{num_bytes / 1e6:9.3f} MB  {step:<8}{done.stdout.strip()}")


def run_child(step: str, folder: Path) -> None:
    """Do one step once and print its time, and the most memory that the process ever had, Python and all."""
    subject = load_subject(folder)
    started = time.perf_counter()
    (sign_ours if step == "sign" else verify_ours)(subject, folder / "signed.mp4")
    print(f"{time.perf_counter() - started:7.2f} s   peak {_peak_mib():6.0f} MiB")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("STEP", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        step, folder = arguments.child
        run_child(step, Path(folder))
        return
    with tempfile.TemporaryDirectory() as temporary:
        measure_rates(Path(temporary), arguments.times)
        if arguments.large:
            measure_large(Path(temporary))


if __name__ == "__main__":
    main()
