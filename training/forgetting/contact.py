"""What a run had to do with certain clips, read from its ledger.

The ledger says in which steps they were and whether the tokenizer was fitted on them; the exposure table knows only the
steps, and only of finished runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.gate import reading_order
from training.proof.ledger import read_leaves

if TYPE_CHECKING:
    from governance.snapshots.snapshot import ClearedSpan


@dataclass(frozen=True, kw_only=True)
class Contact:
    """What one run had to do with one clip."""

    clip_id: str
    asset_sha256: str
    num_reads: int
    """Times the clip was in a batch."""
    first_step: int | None
    """The first step (from 0) that had it; `None`: none had."""
    is_fitted: bool
    """The tokenizer was fitted on it, before the first step."""

    @property
    def is_contact(self) -> bool:
        """Whether the run had anything to do with it at all."""
        return self.is_fitted or self.num_reads > 0

    def as_json(self) -> dict[str, Any]:
        """Return it as an intent states it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunContacts:
    """What one run had to do with the clips that were asked for, and where it was saved."""

    contacts: tuple[Contact, ...]
    """Of those clips that its snapshot holds, in reading order."""
    saved_steps: tuple[int, ...]
    """After how many steps the run was saved."""

    @property
    def last_save_before(self) -> int:
        """After how many steps the run was last saved before any of the clips was in a step; 0: not before."""
        firsts = [contact.first_step for contact in self.contacts if contact.first_step is not None]
        return max((step for step in self.saved_steps if not firsts or step <= min(firsts)), default=0)


@dataclass
class _Tally:
    num_reads: int = 0
    first_step: int | None = None
    is_fitted: bool = False


@dataclass
class _Tallies:
    """Counts by place in the reading order."""

    by_index: dict[int, _Tally] = field(default_factory=dict)

    def note(self, leaf: Any) -> None:
        """Count the clips of one leaf."""
        for index in leaf["clips"]:
            tally = self.by_index.get(index)
            if tally is None:
                continue
            if leaf["kind"] == "fitting":
                tally.is_fitted = True
                continue
            tally.num_reads += 1
            if tally.first_step is None:
                tally.first_step = leaf["step"]


def read_contacts(ledger: Path, spans: Sequence[ClearedSpan], clip_ids: Collection[str]) -> RunContacts:
    """Return what the run of this ledger, on a snapshot with these clips, had to do with `clip_ids`.

    Raises `ProofError` if the ledger cannot be read.
    """
    ordered = sorted(spans, key=reading_order)
    tallies = _Tallies({index: _Tally() for index, span in enumerate(ordered) if span.clip_id in clip_ids})
    saved_steps = []
    for leaf in read_leaves(ledger):
        if leaf["kind"] in {"fitting", "step"}:
            tallies.note(leaf)
        elif leaf["kind"] == "checkpoint":
            saved_steps.append(leaf["step"])
    contacts = (
        Contact(
            clip_id=ordered[index].clip_id,
            asset_sha256=ordered[index].asset_sha256,
            num_reads=tally.num_reads,
            first_step=tally.first_step,
            is_fitted=tally.is_fitted,
        )
        for index, tally in tallies.by_index.items()
    )
    return RunContacts(contacts=tuple(contacts), saved_steps=tuple(saved_steps))
