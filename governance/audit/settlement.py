"""Which document would settle a title conflict, the cheapest first (pure, and a table).

The order is by what it costs to get a document and how surely it ends the dispute. It is a rule of thumb and no legal
advice: counsel decides what is enough.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """What of a conflict matters to how it can be settled."""

    code: str
    earlier: str
    """Who is evidenced earlier; `either side` if neither is."""
    later: str
    holders: tuple[str, ...]
    """Names on the two sides that claim the footage."""
    has_earlier_side: bool
    is_reference_earlier: bool
    """Of a blocked copy: the entry in the reference set is older than the claim."""
    has_open_licence: bool
    """Both sides claim under a licence that anyone may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlingDocument:
    """A document that would settle a conflict."""

    key: str
    name: str
    """With {earlier} and {later} for the parties."""
    reason: str
    effort: int
    """1 a corrected row, 2 one page from one party, 3 an office has to be asked, 4 several parties, 5 a new licence."""
    applies: Callable[[Dispute], bool]

    def named(self, dispute: Dispute) -> str:
        """Return what the document is, with the names of this dispute."""
        return self.name.replace("{earlier}", dispute.earlier).replace("{later}", dispute.later)


def plain_name(holder: str) -> str:
    """Return a holder's name without case, accents, punctuation and legal form: what two spellings share."""
    folded = unicodedata.normalize("NFKD", holder).casefold()
    words = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c)).split()
    return " ".join(word for word in words if word not in _LEGAL_FORMS)


_LEGAL_FORMS = frozenset(
    "ab ag as bv co company corp corporation gmbh inc limited llc ltd plc sa sarl srl the".split()
)


def _is_one_name(dispute: Dispute) -> bool:
    names = {plain_name(holder) for holder in dispute.holders}
    return len(dispute.holders) > 1 and len(names) == 1 and "" not in names


def _lacks_name(dispute: Dispute) -> bool:
    return any(not holder.strip() for holder in dispute.holders)


def _is_between_holders(dispute: Dispute) -> bool:
    return dispute.code != "conflict.blocked_copy"


DOCUMENTS: tuple[SettlingDocument, ...] = (
    SettlingDocument(
        key="one-spelling",
        name="a corrected rights row: one spelling of the holder's registered name on both sides",
        reason="The two names differ in spelling or legal form only, so they may well be one holder.",
        effort=1,
        applies=_is_one_name,
    ),
    SettlingDocument(
        key="holder-named",
        name="a corrected rights row that names the holder",
        reason="One side names nobody, so it cannot be told whether it is the same holder.",
        effort=1,
        applies=_lacks_name,
    ),
    SettlingDocument(
        key="reference-correction",
        name="a corrected entry of the reference set, confirmed by whoever asked to have the footage kept out",
        reason="The licensed side is evidenced earlier, so the entry may be the mistake; one message corrects it.",
        effort=2,
        applies=lambda d: d.code == "conflict.blocked_copy" and not d.is_reference_earlier,
    ),
    SettlingDocument(
        key="statement-earlier",
        name="a signed statement by {earlier}: whether {later} may license this footage, and since when",
        reason="Who is evidenced earlier can confirm or deny the other's right on one page.",
        effort=2,
        applies=lambda d: _is_between_holders(d) and d.has_earlier_side,
    ),
    SettlingDocument(
        key="withdrawal-later",
        name="a signed withdrawal by {later} of the claim to this footage",
        reason="Who is evidenced later can end the dispute alone, without anyone else's consent.",
        effort=2,
        applies=lambda d: _is_between_holders(d) and d.has_earlier_side,
    ),
    SettlingDocument(
        key="publication",
        name="a dated capture of the page where the footage was first published under its licence",
        reason="Both sides claim under a licence that anyone may use: what counts is who published first.",
        effort=2,
        applies=lambda d: _is_between_holders(d) and d.has_open_licence,
    ),
    SettlingDocument(
        key="registry-extract",
        name="an extract of a copyright or title registry that names the owner of the footage",
        reason="A registry belongs to neither side; an extract takes a fee and some days.",
        effort=3,
        applies=_is_between_holders,
    ),
    SettlingDocument(
        key="source-material",
        name="camera originals or a dated delivery note from either side",
        reason="Neither side is evidenced earlier; who holds the originals most likely made them.",
        effort=3,
        applies=lambda d: _is_between_holders(d) and not d.has_earlier_side,
    ),
    SettlingDocument(
        key="assignment-chain",
        name="the assignments or licences that lead from {earlier} to {later}, each signed",
        reason="It proves both sides right, but takes a document from everyone in between.",
        effort=4,
        applies=_is_between_holders,
    ),
    SettlingDocument(
        key="licence-of-blocker",
        name="a licence from whoever asked to have the footage kept out, or their written release of these seconds",
        reason="The footage was to be kept out before, or whatever, the claim says; only they can lift that.",
        effort=5,
        applies=lambda d: d.code == "conflict.blocked_copy",
    ),
)  # fmt: skip


def settling_documents(dispute: Dispute) -> tuple[SettlingDocument, ...]:
    """Return the documents that would settle a dispute, the cheapest first; there is always one."""
    fitting = [document for document in DOCUMENTS if document.applies(dispute)]
    return tuple(sorted(fitting, key=lambda document: document.effort))
