"""Look for an edit of signed bytes that verification lets pass, for a crash, and for a hang.

    python -m benchmarks.fuzz_verify [--edits 10000] [--seed 1] [--clip CLIP --trust PEM]

Makes random edits of a signed clip (one of its own making, if none is given), one after the other in a child
process: flipped bits, overwritten, cut, inserted, doubled and zeroed bytes, boxes swapped, dropped and resized;
half of them aim at the manifest store, which is a small part of the file. Each edited file is verified and set
against what the signatures cover. An edit that passes although it changed something covered, a crash of the
process and an answer that takes longer than the limit are findings; with any, the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from governance.credentials.boxes import Box, BoxReader
from governance.errors import VerificationError
from governance.trust.anchors import load_trust_anchors
from governance.trust.cbor import decode_cbor
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file

_LIMIT_SECONDS = 30.0
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# What the binding of C2PA leaves out (appendix A.5) and c2pa-rs leaves out besides.
_EXCLUDED = frozenset({"ftyp", "free", "skip", "mfra"})
# Store, assertions, claim and signature: boxes that are known by their kind.
_FRAME = frozenset({b"c2pa", b"c2as", b"c2cl", b"c2cs"})
_STORE_OFFSET = 16 + 4 + len(b"manifest\0") + 8
_MAX_SPAN = 400


@dataclass(frozen=True)
class Edit:
    """One change to a file."""

    kind: str
    position: int
    data: bytes


@dataclass(frozen=True)
class Answer:
    """What verification said of one edit, and whether the edit touched what signatures cover."""

    number: int
    kind: str
    position: int
    outcome: str
    is_covered_changed: bool
    is_changed: bool
    """False for an edit that happened to write what was there."""

    @property
    def is_finding(self) -> bool:
        """Something that signatures cover was changed, and the file passed."""
        return self.outcome == VerdictOutcome.PASS and self.is_covered_changed


def edit_of(original: bytes, number: int, seed: int) -> Edit:
    """Return the edit with this number: always the same for the same file and seed."""
    source = random.Random(f"{seed}/{number}")
    kind = source.choice(list(_EDITS))
    start, end = _target(original, source)
    return _EDITS[kind](original, start, end, source, kind)


def covered(data: bytes) -> bytes | None:
    """Return a digest of all that signatures cover, `None` for a file that cannot be taken apart.

    Of the film, every top-level box outside the excluded ones, with its place. Of the store, the labels of manifests
    and assertions and the content of every box, except for what COSE leaves unsigned. The lengths of boxes, what
    the boxes around claim, signature and assertions are called and which bits are set beside the name are covered by
    nothing: the library goes by the kind of box, and writes the rest anew before it hashes.
    """
    import io

    digest = hashlib.sha256()
    try:
        reader = BoxReader(io.BytesIO(data))
        for box in reader.top_level():
            content = data[box.payload_start : box.end]
            if box.kind == "uuid" and content.startswith(_C2PA_UUID):
                for piece in _store_contents(content[_STORE_OFFSET:], ""):
                    digest.update(hashlib.sha256(piece).digest())
            elif box.kind not in _EXCLUDED:
                digest.update(
                    struct.pack(">Q", box.start) + hashlib.sha256(data[box.start : box.end]).digest()
                )
    except (VerificationError, struct.error, IndexError):
        return None
    return digest.digest()


def _store_contents(data: bytes, path: str) -> Iterator[bytes]:
    """Yield what lies in the boxes of a store, each with its path of labels."""
    position, label = 0, path
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        if size < 8:
            raise VerificationError("a box of the store has no length")
        payload = data[position + 8 : position + size]
        if name == b"jumb":
            yield from _store_contents(payload, label)
        elif name == b"jumd":
            kind, own = payload[:4], payload[17:].split(bytes(1))[0]
            label = f"{label}/{(kind if kind in _FRAME else own)!r}"
        elif name == b"cbor" and label.endswith("/b'c2cs'"):
            protected, unprotected, _payload, signature = decode_cbor(payload)
            certificates = unprotected.get("x5chain") if isinstance(unprotected, dict) else None
            yield f"{label}:{certificates!r}".encode() + protected + signature
        else:
            yield label.encode() + payload
        position += size


def _target(original: bytes, source: random.Random) -> tuple[int, int]:
    """Return a place to edit: in the manifest store half of the time, else anywhere."""
    start, end = 0, len(original)
    if source.random() < 0.5:
        start = original.index(_C2PA_UUID) - 8
        end = start + struct.unpack_from(">I", original, start)[0]
    first = source.randrange(start, end)
    return first, min(end, first + source.randint(1, _MAX_SPAN))


_Maker = Callable[[bytes, int, int, random.Random, str], Edit]


def _flip(original: bytes, start: int, end: int, source: random.Random, kind: str) -> Edit:
    edited = bytearray(original)
    for _ in range(source.choice((1, 1, 1, 2, 8))):
        edited[source.randrange(start, end)] ^= 1 << source.randrange(8)
    return Edit(kind, start, bytes(edited))


def _overwrite(original: bytes, start: int, end: int, source: random.Random, kind: str) -> Edit:
    return Edit(kind, start, original[:start] + source.randbytes(end - start) + original[end:])


def _zero(original: bytes, start: int, end: int, _source: random.Random, kind: str) -> Edit:
    return Edit(kind, start, original[:start] + bytes(end - start) + original[end:])


def _cut(original: bytes, start: int, end: int, _source: random.Random, kind: str) -> Edit:
    return Edit(kind, start, original[:start] + original[end:])


def _truncate(original: bytes, start: int, _end: int, _source: random.Random, kind: str) -> Edit:
    return Edit(kind, start, original[:start])


def _insert(original: bytes, start: int, end: int, source: random.Random, kind: str) -> Edit:
    return Edit(kind, start, original[:start] + source.randbytes(end - start) + original[start:])


def _double(original: bytes, start: int, end: int, _source: random.Random, kind: str) -> Edit:
    return Edit(kind, start, original[:end] + original[start:])


def _boxes(original: bytes) -> list[Box]:
    import io

    return BoxReader(io.BytesIO(original)).top_level()


def _swap_boxes(original: bytes, _start: int, _end: int, source: random.Random, kind: str) -> Edit:
    boxes = _boxes(original)
    one, two = sorted(source.sample(range(len(boxes)), 2))
    boxes[one], boxes[two] = boxes[two], boxes[one]
    return Edit(kind, boxes[one].start, b"".join(original[box.start : box.end] for box in boxes))


def _drop_box(original: bytes, _start: int, _end: int, source: random.Random, kind: str) -> Edit:
    box = source.choice(_boxes(original))
    return Edit(kind, box.start, original[: box.start] + original[box.end :])


def _append_box(original: bytes, start: int, end: int, source: random.Random, kind: str) -> Edit:
    name = source.choice([b"free", b"skip", b"mdat", b"uuid", b"moov", b"wide", b"abcd"])
    payload = source.choice([bytes(end - start), original[start:end]])
    return Edit(kind, len(original), original + struct.pack(">I4s", 8 + len(payload), name) + payload)


def _resize(original: bytes, start: int, _end: int, source: random.Random, kind: str) -> Edit:
    """Change four bytes that look like the length of a box near the target: those before four letters."""
    for position in range(start, max(start - _MAX_SPAN, 3), -1):
        if original[position : position + 4].isalnum():
            size = struct.pack(
                ">I", source.choice((0, 1, 7, 8, source.getrandbits(12), source.getrandbits(32)))
            )
            return Edit(kind, position - 4, original[: position - 4] + size + original[position:])
    return _zero(original, start, start + 1, source, kind)


_EDITS: dict[str, _Maker] = {
    "flip": _flip,
    "overwrite": _overwrite,
    "zero": _zero,
    "cut": _cut,
    "truncate": _truncate,
    "insert": _insert,
    "double": _double,
    "swap boxes": _swap_boxes,
    "drop box": _drop_box,
    "append box": _append_box,
    "resize": _resize,
}


def answers(clip: Path, trust: Path, numbers: range, seed: int) -> Iterator[Answer]:
    """Verify the edits with these numbers in this process."""
    original, anchors = clip.read_bytes(), load_trust_anchors([trust])
    before = covered(original)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "edited.mp4"
        for number in numbers:
            edit = edit_of(original, number, seed)
            path.write_bytes(edit.data)
            outcome = verify_file(path, anchors).outcome
            is_covered_changed = covered(edit.data) != before
            is_changed = edit.data != original
            yield Answer(number, edit.kind, edit.position, outcome.value, is_covered_changed, is_changed)


def _work(connection: Connection, clip: Path, trust: Path, numbers: range, seed: int) -> None:
    for answer in answers(clip, trust, numbers, seed):
        connection.send(answer)
    connection.close()


def fuzz(clip: Path, trust: Path, *, num_edits: int, seed: int) -> Iterator[Answer]:
    """Verify edits in a child process that is replaced when it crashes or hangs, which is an answer as well."""
    context = multiprocessing.get_context("spawn")
    number = 0
    while number < num_edits:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(sender, clip, trust, range(number, num_edits), seed))
        child.start()
        sender.close()
        outcome = "hang"
        while receiver.poll(_LIMIT_SECONDS):
            try:
                answer: Answer = receiver.recv()
            except EOFError:
                outcome = "crash"
                break
            number = answer.number + 1
            yield answer
        child.kill()
        child.join()
        if number < num_edits:
            edit = edit_of(clip.read_bytes(), number, seed)
            yield Answer(number, edit.kind, edit.position, outcome, is_covered_changed=True, is_changed=True)
            number += 1


def _own_clip(folder: Path) -> tuple[Path, Path]:
    from governance.signing.keys import TRUST_ANCHOR_FILE
    from tests.governance.signed_chain import make_signed_chain

    return make_signed_chain(folder).clip, folder / "keys" / TRUST_ANCHOR_FILE


def report(found: list[Answer], clip: Path) -> Iterator[str]:
    """Yield the lines of the report."""
    size = clip.stat().st_size
    yield f"{len(found):,} edits of a signed clip of {size:,} bytes"
    for outcome, count in Counter(answer.outcome for answer in found).most_common():
        yield f"  {outcome}: {count:,}"
    passed = [answer for answer in found if answer.outcome == VerdictOutcome.PASS]
    yield f"edits of covered bytes: {sum(answer.is_covered_changed for answer in found):,}"
    yield f"passed: {len(passed):,}, by box: {dict(Counter(_place(answer, clip) for answer in passed))}"
    for answer in found:
        if answer.is_finding or answer.outcome in {"crash", "hang"}:
            yield f"FINDING: edit {answer.number} ({answer.kind} at {answer.position}): {answer.outcome}"


def _place(answer: Answer, clip: Path) -> str:
    if not answer.is_changed:
        return "no change at all"
    for box in _boxes(clip.read_bytes()):
        if box.start <= answer.position < box.end:
            return f"{answer.kind} in {box.kind}"
    return f"{answer.kind} at the end"


def main() -> None:
    """Run and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--trust", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clip, trust = arguments.clip, arguments.trust
        if clip is None or trust is None:
            clip, trust = _own_clip(Path(temporary) / "chain")
        found = list(fuzz(clip, trust, num_edits=arguments.edits, seed=arguments.seed))
        print("\n".join(report(found, clip)))
    is_sound = not any(answer.is_finding or answer.outcome in {"crash", "hang"} for answer in found)
    raise SystemExit(0 if is_sound else 1)


if __name__ == "__main__":
    main()
