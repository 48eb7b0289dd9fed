"""A guard for signed MP4 and MOV files: what plays must be what was signed.

The C2PA hard binding for these files (`c2pa.hash.bmff.v3`) leaves some boxes out of the digest: the manifest
itself, `ftyp`, `mfra`, and, as c2pa-rs writes it, every top-level `free` and `skip`. A file whose samples lie
in a `free` box can therefore be given other pictures after signing and still validate. Specification 2.2
dropped `free` and `skip` from the mandatory exclusions for that reason; readers still accept them. The guard
closes the gap by rule:

1. every box fits into its parent, and there are not more of them than a real file has;
2. exactly one `moov`, at most one `ftyp`, neither compressed nor hidden;
3. what lies in an excluded box cannot be media: `free` and `skip` hold zeros, `ftyp` is a list of brands,
   `mfra` an index, and the box of the manifest store holds that store and zeros;
4. every sample of every track lies, from its first byte to its last, inside one `mdat`, and in this file.

Nothing here judges a signature, and boxes that are hashed may hold what they like.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from itertools import chain, islice, repeat
from pathlib import Path

from governance.credentials.boxes import Box, BoxReader
from governance.errors import VerificationError

# 4-byte brand and version, then up to 60 compatible brands: no real file has more than a dozen.
_MAX_FTYP_BYTES = 256
_MAX_TRACKS = 256
# C2PA 2.4, appendix A.5.1: type, version and flags, a purpose that ends in a zero byte, the place of an auxiliary
# box, then the manifest store.
_MANIFEST_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_MANIFEST_BOX = b"uuid" + _MANIFEST_UUID
_STORE_PURPOSES = (b"manifest\0", b"original\0", b"update\0")
_VERSION_BYTES, _AUXILIARY_BYTES = 4, 8
_SAMPLE_TABLES = {"stco": "offsets", "co64": "offsets", "stsz": "sizes", "stz2": "sizes", "stsc": "runs"}


def check_container(path: Path) -> None:
    """Apply the guard to the ISO base media file at `path`.

    Raises `VerificationError` naming the offending box, `OSError` if the file cannot be read.
    """
    with path.open("rb") as file:
        _Guard(BoxReader(file)).check()


def has_manifest_box(path: Path) -> bool:
    """Whether a box with a C2PA manifest store begins anywhere in the file, however broken the file is.

    Raises `OSError` if the file cannot be read.
    """
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(1 << 20):
            if _MANIFEST_BOX in tail + chunk:
                return True
            tail = chunk[-len(_MANIFEST_BOX) :]
    return False


class _Guard:
    """One pass over one file."""

    def __init__(self, reader: BoxReader) -> None:
        self._reader = reader
        # Rule 1 holds for every list of boxes that the reader returns.
        self._top = reader.top_level()
        self._num_checked_tables = 0
        self._media = [(box.payload_start, box.end) for box in self._top if box.kind == "mdat"]

    def check(self) -> None:
        moov = self._only_moov()  # 2
        for box in self._top:
            self._check_excluded(box)  # 3
        self._check_movie(moov)  # 4
        defaults = self._default_sample_sizes(moov)
        for box in self._top:
            if box.kind == "moof":
                self._check_fragment(box, defaults)  # 4

    def _only_moov(self) -> Box:
        movies = [box for box in self._top if box.kind == "moov"]
        if len(movies) != 1:
            raise VerificationError(f"container: {len(movies)} boxes 'moov', expected exactly one")
        if sum(box.kind == "ftyp" for box in self._top) > 1:
            raise VerificationError("container: more than one box 'ftyp'")
        if any(box.kind in {"cmov", "moov"} for box in self._reader.children(movies[0])):
            raise VerificationError(
                "container: the box 'moov' is compressed or nested, what it plays cannot be checked"
            )
        return movies[0]

    def _check_excluded(self, box: Box) -> None:
        if box.kind in {"free", "skip"} and not self._reader.is_zero(box):
            raise VerificationError(f"container: {box} carries data, but no signature covers it")
        if box.kind == "ftyp" and (box.payload_size > _MAX_FTYP_BYTES or box.payload_size % 4):
            raise VerificationError(
                f"container: {box} has {box.payload_size} bytes, which is no list of brands"
            )
        if box.kind == "uuid":
            self._check_manifest_box(box)
        if box.kind == "mfra":
            for child in self._reader.children(box):
                if child.kind not in {"tfra", "mfro"}:
                    raise VerificationError(
                        f"container: {child} does not belong into the unsigned box 'mfra'"
                    )

    def _check_manifest_box(self, box: Box) -> None:
        """Refuse a manifest box that holds less, or anything else, than the store whose length it states."""
        head_size = len(_MANIFEST_UUID) + _VERSION_BYTES
        longest = max(len(purpose) for purpose in _STORE_PURPOSES)
        head = self._reader.bytes_at(box.payload_start, min(head_size + longest, box.payload_size))
        purpose = next((name for name in _STORE_PURPOSES if head[head_size:].startswith(name)), None)
        if not head.startswith(_MANIFEST_UUID) or purpose is None:
            return
        start = head_size + len(purpose) + _AUXILIARY_BYTES
        (size,) = self._reader.fields(box, "I", offset=start)
        if not 8 <= size <= box.payload_size - start:
            raise VerificationError(f"container: {box} holds less than the manifest store that it announces")
        rest = Box(box.kind, box.start, box.payload_start + start + size, box.end)
        if not self._reader.is_zero(rest):
            raise VerificationError(f"container: {box} carries data after the manifest store")

    def _check_movie(self, moov: Box) -> None:
        tracks = [box for box in self._reader.children(moov) if box.kind == "trak"]
        if not 1 <= len(tracks) <= _MAX_TRACKS:
            raise VerificationError(f"container: {len(tracks)} tracks, expected 1 to {_MAX_TRACKS}")
        for track in tracks:
            media = self._descend(self._descend(track, "mdia"), "minf")
            self._check_data_references(self._descend(media, "dinf"))
            self._check_samples(self._descend(media, "stbl"))
        self._require_no_others(moov, (b"stco", b"co64"), self._num_checked_tables)
        self._require_no_others(moov, (b"tfhd",), 0)

    def _require_no_others(self, parent: Box, names: tuple[bytes, ...], expected: int) -> None:
        """Refuse tables where the standard has none, but where players look for them all the same."""
        payload = self._reader.bytes_at(parent.payload_start, parent.payload_size)
        if (found := sum(payload.count(name) for name in names)) != expected:
            raise VerificationError(
                f"container: {parent} hides sample tables ({found} found, {expected} in place)"
            )

    def _descend(self, parent: Box, kind: str) -> Box:
        """Return the one child of this kind. Raises `VerificationError` if there is none, or several."""
        found = [box for box in self._reader.children(parent) if box.kind == kind]
        if len(found) != 1:
            raise VerificationError(
                f"container: {parent} has {len(found)} boxes {kind!r}, expected exactly one"
            )
        return found[0]

    def _check_data_references(self, dinf: Box) -> None:
        """Refuse samples that lie in another file: flag 1 of a data reference means "in this one"."""
        for reference in self._reader.children(self._descend(dinf, "dref"), skip=8):
            (version_and_flags,) = self._reader.fields(reference, "I")
            if not version_and_flags & 1:
                raise VerificationError(f"container: {reference} takes samples from another file")

    def _check_samples(self, stbl: Box) -> None:
        """Check that every chunk of a track lies in an `mdat`, with the size that its samples add up to."""
        tables = [box for box in self._reader.children(stbl) if box.kind in _SAMPLE_TABLES]
        found = {_SAMPLE_TABLES[box.kind]: box for box in tables}
        if len(tables) != 3 or len(found) != 3:
            raise VerificationError(f"container: {stbl} does not say exactly once where its samples are")
        offsets_box = found["offsets"]
        (num_chunks,) = self._reader.fields(offsets_box, "I", offset=4)
        layout = "Q" if offsets_box.kind == "co64" else "I"
        offsets = self._reader.table(offsets_box, layout, num_chunks, offset=8)
        sizes = self._chunk_sizes(found["sizes"], self._samples_per_chunk(found["runs"], num_chunks))
        for (offset,), size in zip(offsets, sizes, strict=True):
            self._require_in_mdat(offset, size, offsets_box)
        self._num_checked_tables += 1

    def _chunk_sizes(self, sizes_box: Box, samples_per_chunk: Iterator[int]) -> Iterator[int]:
        """Yield the size of each chunk. A track with fewer samples than its chunks announce is refused."""
        fixed, count = self._reader.fields(sizes_box, "II", offset=4)
        is_fixed = sizes_box.kind == "stsz" and fixed != 0
        sizes = iter(()) if is_fixed else self._sample_sizes(sizes_box, fixed & 0xFF, count)
        for num_samples in samples_per_chunk:
            count -= num_samples
            if count < 0:
                raise VerificationError(f"container: {sizes_box} has fewer samples than the chunks hold")
            yield num_samples * fixed if is_fixed else sum(islice(sizes, num_samples))

    def _sample_sizes(self, box: Box, width_bits: int, count: int) -> Iterator[int]:
        """Yield the size of every sample, from `stsz` or its compact form `stz2`."""
        if box.kind == "stsz":
            return chain.from_iterable(self._reader.table(box, "I", count, offset=12))
        if width_bits == 4:
            pairs = self._reader.table(box, "B", (count + 1) // 2, offset=12)
            return islice(chain.from_iterable((byte >> 4, byte & 15) for (byte,) in pairs), count)
        if width_bits not in {8, 16}:
            raise VerificationError(f"container: {box} has sample sizes of {width_bits} bits")
        return chain.from_iterable(self._reader.table(box, "B" if width_bits == 8 else "H", count, offset=12))

    def _samples_per_chunk(self, stsc: Box, num_chunks: int) -> Iterator[int]:
        """Yield the number of samples of each of `num_chunks` chunks; `stsc` lists runs of equal ones."""
        (count,) = self._reader.fields(stsc, "I", offset=4)
        next_chunk, samples = 1, 0
        for first, run_samples, _description in self._reader.table(stsc, "III", count, offset=8):
            if first < next_chunk or (next_chunk == 1 and samples == 0 and first != 1):
                raise VerificationError(f"container: {stsc} is not in order")
            yield from repeat(samples, min(first, num_chunks + 1) - next_chunk)
            next_chunk, samples = min(first, num_chunks + 1), run_samples
        if num_chunks >= next_chunk and not samples:
            raise VerificationError(f"container: {stsc} leaves chunks without samples")
        yield from repeat(samples, num_chunks + 1 - next_chunk)

    def _default_sample_sizes(self, moov: Box) -> dict[int, int]:
        """Return the default sample size of each track of a fragmented file, from `mvex`."""
        sizes: dict[int, int] = {}
        for mvex in self._reader.children(moov):
            if mvex.kind != "mvex":
                continue
            for trex in self._reader.children(mvex):
                if trex.kind == "trex":
                    track, _description, _duration, size, _flags = self._reader.fields(trex, "5I", offset=4)
                    sizes[track] = size
        return sizes

    def _check_fragment(self, moof: Box, default_sizes: dict[int, int]) -> None:
        """Check the runs of one movie fragment (sections 8.8.7 and 8.8.8)."""
        end_of_data, num_runs = moof.start, 0
        for traf in self._reader.children(moof):
            if traf.kind == "traf":
                runs = [box for box in self._reader.children(traf) if box.kind == "trun"]
                end_of_data = self._check_track_fragment(traf, runs, moof, end_of_data, default_sizes)
                num_runs += len(runs)
        self._require_no_others(moof, (b"trun",), num_runs)

    def _check_track_fragment(
        self, traf: Box, runs: list[Box], moof: Box, end_of_data: int, default_sizes: dict[int, int]
    ) -> int:
        """Check one track's runs and return where its data ends: the next track's may begin there."""
        tfhd = self._descend(traf, "tfhd")
        base, default_size = self._fragment_defaults(tfhd, moof, end_of_data, default_sizes)
        position = base
        for trun in runs:
            flags, count = self._reader.fields(trun, "II")
            offset = 8
            if flags & 0x1:
                position = base + self._reader.fields(trun, "i", offset=offset)[0]
                offset += 4
            offset += 4 if flags & 0x4 else 0
            size = self._run_size(trun, flags, count, offset, default_size)
            self._require_in_mdat(position, size, trun)
            position += size
        return position

    def _fragment_defaults(
        self, tfhd: Box, moof: Box, end_of_data: int, default_sizes: dict[int, int]
    ) -> tuple[int, int]:
        """Return the base offset of a track fragment and its default sample size."""
        version_and_flags, track = self._reader.fields(tfhd, "II")
        offset, base, size = 8, end_of_data, default_sizes.get(track, 0)
        if version_and_flags & 0x1:
            (base,) = self._reader.fields(tfhd, "Q", offset=offset)
            offset += 8
        elif version_and_flags & 0x20000:
            base = moof.start
        offset += 4 if version_and_flags & 0x2 else 0
        offset += 4 if version_and_flags & 0x8 else 0
        if version_and_flags & 0x10:
            (size,) = self._reader.fields(tfhd, "I", offset=offset)
        return base, size

    def _run_size(self, trun: Box, flags: int, count: int, offset: int, default_size: int) -> int:
        """Return how many bytes the samples of a run take together."""
        if not flags & 0x200:
            return count * default_size
        before = "I" if flags & 0x100 else ""
        after = ("I" if flags & 0x400 else "") + ("I" if flags & 0x800 else "")
        rows = self._reader.table(trun, f"{before}I{after}", count, offset=offset)
        return sum(row[len(before)] for row in rows)

    def _require_in_mdat(self, start: int, size: int, table: Box) -> None:
        if size == 0:
            return
        index = bisect.bisect_right(self._media, (start, self._reader.size)) - 1
        if index < 0 or not self._media[index][0] <= start <= start + size <= self._media[index][1]:
            raise VerificationError(
                f"container: {table} places samples at byte {start}, {size} bytes long, outside every 'mdat'"
            )
