"""The card of an exported snapshot: what it is, whose it is, how to check it. Markdown with the hub's front matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from governance.snapshots.document import held_out_line
from training.exports.sample import SPLITS

_INTRODUCTION = """\
Cleared footage, each clip with its licence. Train on `train`. `held_out` is whole sources to measure with: a model that
trained on them cannot be measured by them.
"""
_HOW_TO_CHECK = """\
## What the digests are of

| fact | what it is the SHA-256 of |
|---|---|
| `video_sha256` | the MP4 file as it lies here |
| `frames_sha256` | its decoded frames as raw video, one after the other; those of the original span, bit for bit |
| `source_sha256` | the whole original file, which is not here: it may hold seconds that were not cleared |
| `merkle_root` | all leaves of the snapshot: an RFC 6962 Merkle tree, signed in `snapshot.json.c2pa` |

Each sample carries its `leaf`, the text that was sealed, and the `proof` (siblings, lowest first) that leads from it at
`leaf_index` of `num_leaves` to `merkle_root`. `start_pts` and `end_pts` are times in the original, in its `time_base`.
That the frames are those of the original is this export's word; whoever has the original can decode it and compare.

The videos are H.264 without loss, pictures only: the sound was left behind.

`sha256sum -c SHA256SUMS` checks the files; `cleartitle verify snapshot.json` the credentials.
"""


def card_text(document: Mapping[str, Any], *, format_name: str, num_samples: Mapping[str, int]) -> str:
    """Return the card of a snapshot document that was checked. `num_samples`: by split."""
    policy, until = document["policy"], document["expires_at"] or "no end"
    facts = {
        "snapshot": f"{_cell(document['name'])}, Merkle root `{document['merkle_root']}`",
        "policy": f"{_cell(policy['name'])}, sha256 `{policy['digest']}`",
        "purpose": _cell(document["purpose"]),
        "commercial release": "not allowed" if document.get("promotable") is False else "as the licences say",
        "licences run until": until,
        "training part": f"{num_samples['train']} clips",
        "held out": _cell(held_out_line(document)),
    }
    shares = [
        (_cell(share["license_expression"]), share["num_clips"], f"{share['duration_seconds']:.1f}")
        for share in document["licenses"]
    ]
    parts = [
        _front_matter(format_name, num_samples),
        f"# {_cell(document['name'])}",
        _INTRODUCTION,
        _table(("", ""), facts.items()),
        "## Licences",
        _table(("licence", "clips", "seconds"), shares),
        _HOW_TO_CHECK,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _front_matter(format_name: str, num_samples: Mapping[str, int]) -> str:
    """Return what tells the hub where the splits are."""
    ending = {"webdataset": "{split}-*.tar", "parquet": "data/{split}-*.parquet"}[format_name]
    lines = ["---", "license: other", "configs:", "- config_name: default", "  data_files:"]
    for split in SPLITS:
        if num_samples[split]:
            lines += [f"  - split: {split}", f"    path: {ending.format(split=split)}"]
    return "\n".join([*lines, "---"])


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, ["---"] * len(tuple(head)), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return text that came from others as plain text in a table of Markdown."""
    return "".join("\\" + char if char in "|`<>[]*_\\" else char for char in str(text)).replace("\n", " ")
