"""What the well-known open licences say, by SPDX id, and what an SPDX expression therefore allows.

The table was made from the licence texts and holds only what they say in so many words. It is not legal
advice, and it says nothing about whether training is a use that needs a licence: `derivatives` is about
adapted works in general. Anything that is not listed is unknown in every respect, and unknown is never
permission.

Not listed on purpose: `CC-PDM-1.0` and `CC-PDDC`. A mark asserts that a work is in the public domain; it is
not a licence, and whoever sets it need not own the work.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from db.vocabularies import Tri, Use
from ingest.rights.licenses import AllOf, AnyOf, LicenseId, LicenseTree, WithException, parse_license


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseTerms:
    """Permissions and duties. For the duties (`share_alike`, `attribution`) `YES` is the burden."""

    commercial_use: Tri = Tri.UNKNOWN
    derivatives: Tri = Tri.UNKNOWN
    """Adapted works may be made and shared."""
    share_alike: Tri = Tri.UNKNOWN
    """Adapted works must carry the same licence."""
    attribution: Tri = Tri.UNKNOWN
    """Author, notice or licence text must be given."""
    redistribution: Tri = Tri.UNKNOWN
    """Copies of the work itself may be passed on, within the other terms."""
    is_known: bool = False
    """Every licence relied on is in the table below."""
    relied_on: str = ""
    """The expression after the licensee's choices: `MIT` for `GPL-3.0-only OR MIT`."""


def terms_of_expression(expression: str, permitted_uses: Collection[Use] = ()) -> LicenseTerms:
    """Return what `expression` allows, given the uses that the rights holder has stated beside it.

    `A AND B`: the most restrictive answer to each question. `A OR B`: the licensee chooses one alternative as
    a whole; the choice is the most permissive one, compared in the order commercial use, derivatives,
    share-alike, redistribution, attribution. The answers of two alternatives are never mixed. `A WITH
    exception`: unknown, unless the exception is known to add permissions only; then A.

    A `LicenseRef-` names terms that only its contract knows, so they are unknown. If the holder lists
    `cawg.ai_generative_training` among the permitted uses, that is permission without a condition (a
    conditional use is `constrained` in CAWG 1.1 and does not belong in the list): commercial use and
    derivatives are then allowed and no share-alike applies, unless the very name of the contract speaks
    against commercial use. An SPDX licence is never widened by stated uses.

    Raises `ingest.rights.licenses.LicenseExpressionError`.
    """
    return _terms_cached(expression, Use.AI_GENERATIVE_TRAINING in permitted_uses)


@functools.lru_cache(maxsize=4096)
def _terms_cached(expression: str, is_training_stated: bool) -> LicenseTerms:
    return _terms(parse_license(expression), is_training_stated=is_training_stated)


def _terms(tree: LicenseTree, *, is_training_stated: bool) -> LicenseTerms:
    match tree:
        case LicenseId():
            return _terms_of_id(tree, is_training_stated=is_training_stated)
        case WithException(license=base, exception=exception):
            if exception not in _EXCEPTIONS_ADDING_PERMISSIONS:
                return LicenseTerms(relied_on=str(tree))
            return replace(_terms_of_id(base, is_training_stated=is_training_stated), relied_on=str(tree))
        case AllOf(parts=parts):
            return _all_of([_terms(part, is_training_stated=is_training_stated) for part in parts])
        case AnyOf(parts=parts):
            return max(
                (_terms(part, is_training_stated=is_training_stated) for part in parts), key=_permissiveness
            )


def _terms_of_id(license_id: LicenseId, *, is_training_stated: bool) -> LicenseTerms:
    if license_id.is_ref:
        return _terms_of_ref(license_id.id, is_training_stated=is_training_stated)
    creative_commons = _CREATIVE_COMMONS.fullmatch(license_id.id)
    if creative_commons:
        return _terms_of_creative_commons(license_id.id, creative_commons)
    known = _TERMS_BY_ID.get(license_id.id)
    return LicenseTerms(relied_on=license_id.id) if known is None else replace(known, relied_on=license_id.id)


def _terms_of_ref(name: str, *, is_training_stated: bool) -> LicenseTerms:
    words = set(re.split(r"[^a-z]+", name.lower()))
    speaks_against = bool(words & _RESTRICTING_WORDS) or {"non", "commercial"} <= words
    if not is_training_stated:
        return LicenseTerms(commercial_use=Tri.NO if speaks_against else Tri.UNKNOWN, relied_on=name)
    return LicenseTerms(
        commercial_use=Tri.NO if speaks_against else Tri.YES,
        derivatives=Tri.YES,
        share_alike=Tri.NO,
        relied_on=name,
    )


def _terms_of_creative_commons(name: str, match: re.Match[str]) -> LicenseTerms:
    """Read the terms off the name of a CC licence, as its deed does."""
    return LicenseTerms(
        commercial_use=Tri.NO if match["nc"] else Tri.YES,
        derivatives=Tri.NO if match["nd"] else Tri.YES,
        share_alike=Tri.YES if match["sa"] else Tri.NO,
        attribution=Tri.YES,
        redistribution=Tri.YES,
        is_known=True,
        relied_on=name,
    )


def _all_of(parts: Collection[LicenseTerms]) -> LicenseTerms:
    return LicenseTerms(
        commercial_use=_least([part.commercial_use for part in parts]),
        derivatives=_least([part.derivatives for part in parts]),
        share_alike=_greatest([part.share_alike for part in parts]),
        attribution=_greatest([part.attribution for part in parts]),
        redistribution=_least([part.redistribution for part in parts]),
        is_known=all(part.is_known for part in parts),
        relied_on=" AND ".join(part.relied_on for part in parts),
    )


_ORDER = (Tri.NO, Tri.UNKNOWN, Tri.YES)


def _least(values: Iterable[Tri]) -> Tri:
    return min(values, key=_ORDER.index)


def _greatest(values: Iterable[Tri]) -> Tri:
    return max(values, key=_ORDER.index)


def _permissiveness(terms: LicenseTerms) -> tuple[int, ...]:
    return (
        _ORDER.index(terms.commercial_use),
        _ORDER.index(terms.derivatives),
        -_ORDER.index(terms.share_alike),
        _ORDER.index(terms.redistribution),
        -_ORDER.index(terms.attribution),
    )


_CREATIVE_COMMONS = re.compile(r"CC-BY(?P<nc>-NC)?(?:(?P<sa>-SA)|(?P<nd>-ND))?-\d\.\d(?:-[A-Z]+)?")

_FREE = LicenseTerms(
    commercial_use=Tri.YES,
    derivatives=Tri.YES,
    share_alike=Tri.NO,
    attribution=Tri.NO,
    redistribution=Tri.YES,
    is_known=True,
)
"""Dedications and licences that ask for nothing."""

_NOTICE = LicenseTerms(
    commercial_use=Tri.YES,
    derivatives=Tri.YES,
    share_alike=Tri.NO,
    attribution=Tri.YES,
    redistribution=Tri.YES,
    is_known=True,
)
"""Permissive licences whose notice must be kept."""

_COPYLEFT = LicenseTerms(
    commercial_use=Tri.YES,
    derivatives=Tri.YES,
    share_alike=Tri.YES,
    attribution=Tri.YES,
    redistribution=Tri.YES,
    is_known=True,
)
"""Adapted works, or the adapted files, stay under the same licence."""

_TERMS_BY_ID = {
    **dict.fromkeys(("0BSD", "CC0-1.0", "MIT-0", "PDDL-1.0", "Unlicense"), _FREE),
    **dict.fromkeys(
        (
            "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "ISC", "MIT",
            "ODC-By-1.0", "Zlib", ), _NOTICE, ), **dict.fromkeys( ( "AGPL-3.0-only", "AGPL-3.0-or-later",
            "CDLA-Sharing-1.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later",
            "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0", "ODbL-1.0",
            ), _COPYLEFT, ), }  # fmt: skip

_EXCEPTIONS_ADDING_PERMISSIONS = frozenset(
    {"Classpath-exception-2.0", "Font-exception-2.0", "GCC-exception-3.1", "LLVM-exception"}
)
"""Their texts grant an additional permission and take none away, so the licence alone is a safe reading."""

_RESTRICTING_WORDS = frozenset(
    {
        "academic", "editorial", "education", "educational", "evaluation", "nc", "noncommercial", "personal",
        "preview", "research", "trial", } )  # fmt: skip
"""Words that in the name of a contract announce a limit which a table row must not talk away."""
