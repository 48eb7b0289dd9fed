"""From evidence to facts: what a policy is told of one clip (pure)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from db.clock import earliest
from db.contracts import WHOLE
from db.records import AssetEvidence, ClipRecord, GrantRecord
from db.rights_records import NO_STATEMENTS, AgreementRecord, RightsStatements, ScopedGrant
from db.vocabularies import Acquisition, OutputConstraint, RightsLayer, Tri, Use
from governance.facts.effective_grant import (
    ClipGrants,
    Reliance,
    clip_grants,
    is_given_to,
    is_in_force,
    narrowed_terms,
)
from governance.facts.facts import (
    PERPETUAL_DAYS,
    Facts,
    FootageFacts,
    GrantFacts,
    LayerFacts,
    MediaFacts,
    SignalFacts,
)
from governance.facts.layers import Layers, clip_layers
from governance.facts.matches import Comparison, is_compared, match_facts
from governance.facts.signal_standing import NEVER_DAYS, is_examined, standing_of
from ingest.rights.territories import ISO_3166_1_ALPHA_2

_MAX_CHAIN = 16
MAX_SHARED = 50_000
"""Sets of facts kept for other clips: some hundred megabytes at most, however large the library is."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What one alternative gives a decision to stand on."""

    reliance: Reliance | None
    grant: GrantFacts
    layers: LayerFacts
    signals: SignalFacts
    footage: FootageFacts
    expires_at: dt.datetime | None
    """When the first grant, upstream grant or release relied on ends."""

    @property
    def grants(self) -> tuple[GrantRecord, ...]:
        """The grants relied on, the nearest to the clip first."""
        return () if self.reliance is None else self.reliance.grants


def clip_grounds(
    clip: ClipRecord, evidence: AssetEvidence, use: Use | None, as_of: dt.datetime
) -> tuple[tuple[Ground, ...], int]:
    """Return the alternatives a clip has, at least one, and how many claims compete with the first."""
    found = clip_grants(clip, evidence, as_of)
    layers = clip_layers(clip, evidence.rights, use, as_of, is_silent=evidence.asset.audio_codec is None)
    reliances: Sequence[Reliance | None] = found.reliances or (None,)
    grounds = tuple(_ground(reliance, found, layers, evidence, as_of) for reliance in reliances)
    return grounds, found.num_competing


def _ground(
    reliance: Reliance | None, found: ClipGrants, layers: Layers, evidence: AssetEvidence, as_of: dt.datetime
) -> Ground:
    rights = evidence.rights
    chain = () if reliance is None else _upstream_grants(reliance, rights)
    return Ground(
        reliance=reliance,
        grant=grant_facts(reliance, rights, as_of, is_contradicted=found.is_contradicted),
        layers=_layer_facts(layers, as_of),
        signals=_signal_facts(evidence, () if reliance is None else reliance.grants, as_of),
        footage=_footage_facts(rights, evidence, as_of),
        expires_at=earliest(
            None if reliance is None else reliance.valid_to,
            layers.valid_to,
            *(scoped.grant.valid_to for scoped in chain),
            *_ends_of_agreements(reliance, chain, rights),
        ),
    )


def _ends_of_agreements(
    reliance: Reliance | None, chain: Sequence[ScopedGrant], rights: RightsStatements
) -> list[dt.datetime | None]:
    """Return when the agreements end that the grants relied on stand in, up the chain."""
    grants = (*(() if reliance is None else reliance.grants), *(scoped.grant for scoped in chain))
    agreements = [rights.agreements.get(grant.contract.agreement_ref) for grant in grants]
    return [agreement.terminated_at for agreement in agreements if agreement is not None]


def grant_facts(
    reliance: Reliance | None, rights: RightsStatements, as_of: dt.datetime, *, is_contradicted: bool = False
) -> GrantFacts:
    """Return the facts of what is relied on at the aware time `as_of`; without anything, that there is none.

    A grant without a stated start or end is taken to have none, as open licences do.
    """
    if reliance is None:
        return GrantFacts(contradicted=is_contradicted)
    terms = narrowed_terms(reliance, ISO_3166_1_ALPHA_2)
    # Nobody gives more than he has: what the licensors themselves rely on narrows what they give.
    chain = tuple(scoped.grant for scoped in _upstream_grants(reliance, rights))
    given = narrowed_terms(Reliance(grants=(*reliance.grants, *chain)), ISO_3166_1_ALPHA_2)
    grants, standing = reliance.grants, _standing(reliance, rights, as_of)
    # What has both ended and not begun has ended: grants that never overlap leave no time at all.
    in_force = all(is_in_force(grant, as_of) for grant in grants)
    return GrantFacts(
        present=True,
        license_expression=terms.license_expression,
        license_known=terms.license_known,
        commercial_use=given.commercial_use,
        derivatives=given.derivatives,
        share_alike=given.share_alike,
        attribution=given.attribution,
        permitted_uses=given.permitted_uses,
        uses_stated=given.uses_stated,
        territories=given.territories,
        in_force=Tri.YES if in_force else Tri.NO,
        days_left=days_until(terms.valid_to, as_of),
        has_evidence=all(grant.evidence_sha256 is not None for grant in grants),
        rights_holder_stated=all(grant.rights_holder.strip() for grant in grants),
        contradicted=is_contradicted,
        prohibited_uses=given.prohibited_uses,
        purposes=given.purposes,
        purposes_stated=given.purposes_stated,
        model_limited=given.model_limited,
        post_termination=given.post_termination,
        output_constraints=tuple(map(OutputConstraint, given.output_constraints)),
        from_catalogue=standing.from_catalogue,
        agreement_proven=standing.agreement_proven,
        chain_complete=standing.chain_complete,
        holder_verified=standing.holder_verified,
        holder_checked_days=standing.holder_checked_days,
    )


def days_until(time: dt.datetime | None, as_of: dt.datetime) -> int:
    """Return the whole days from `as_of` to `time`; a time that never comes is 1000000 days away."""
    return PERPETUAL_DAYS if time is None else (time - as_of).days


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """What is known of who gives the grants, and of the agreements that they stand in."""

    from_catalogue: bool = False
    agreement_proven: bool = False
    chain_complete: Tri = Tri.UNKNOWN
    holder_verified: Tri = Tri.UNKNOWN
    holder_checked_days: int = PERPETUAL_DAYS


def _standing(reliance: Reliance, rights: RightsStatements, as_of: dt.datetime) -> _Standing:
    contracts = [grant.contract for grant in reliance.grants]
    if not all(contract.agreement_ref for contract in contracts):
        return _Standing()
    agreements = [rights.agreements.get(contract.agreement_ref) for contract in contracts]
    refs = {
        contract.licensor_ref or (agreement.licensor_ref if agreement else "")
        for contract, agreement in zip(contracts, agreements, strict=True)
    }
    licensors = [rights.parties.get(ref) for ref in refs]
    checked = [party.verified_at if party is not None else None for party in licensors]
    days = [PERPETUAL_DAYS if time is None else (as_of - time).days for time in checked]
    is_verified = bool(checked) and all(time is not None and time <= as_of for time in checked)
    return _Standing(
        from_catalogue=True,
        agreement_proven=all(_is_proven(agreement, as_of) for agreement in agreements),
        chain_complete=_chain(reliance, rights, as_of),
        holder_verified=Tri.YES if is_verified else Tri.NO,
        holder_checked_days=max(days, default=PERPETUAL_DAYS),
    )


def _is_proven(agreement: AgreementRecord | None, as_of: dt.datetime) -> bool:
    """Return whether the agreement is on record with its document, concluded, and not terminated."""
    return (
        agreement is not None
        and agreement.document_sha256 is not None
        and (agreement.terminated_at is None or agreement.terminated_at > as_of)
        and (agreement.executed_at is None or agreement.executed_at <= as_of)
    )


def _chain(reliance: Reliance, rights: RightsStatements, as_of: dt.datetime) -> Tri:
    """Return whether every licensor's own title reaches somebody who needs no grant from anyone."""
    for grant in reliance.grants:
        seen: set[str] = set()
        contract = grant.contract
        while ref := contract.upstream_ref:
            if (
                ref in seen
                or len(seen) >= _MAX_CHAIN
                or not _is_link(ref, contract.licensor_ref, rights, as_of)
            ):
                return Tri.NO
            seen.add(ref)
            contract = rights.upstream[ref].grant.contract
    return Tri.YES


def _is_link(ref: str, licensor_ref: str, rights: RightsStatements, as_of: dt.datetime) -> bool:
    """Return whether a grant gives this footage, the whole of it, to `licensor_ref`, with proof and today."""
    above = rights.upstream.get(ref)
    if above is None or not is_in_force(above.grant, as_of):
        return False
    is_for_this = any(scoped.grant_ref == ref and scoped.span == WHOLE for scoped in rights.grants)
    is_proven = _is_proven(rights.agreements.get(above.grant.contract.agreement_ref), as_of)
    return is_for_this and is_proven and is_given_to(above.grant, licensor_ref, rights)


def _upstream_grants(reliance: Reliance, rights: RightsStatements) -> tuple[ScopedGrant, ...]:
    found: dict[str, ScopedGrant] = {}
    wanted = [grant.contract.upstream_ref for grant in reliance.grants]
    while wanted:
        ref = wanted.pop()
        if ref and ref not in found and ref in rights.upstream:
            found[ref] = rights.upstream[ref]
            wanted.append(found[ref].grant.contract.upstream_ref)
    return tuple(found.values())


def _layer_facts(layers: Layers, as_of: dt.datetime) -> LayerFacts:
    return LayerFacts(
        **{layer.value: layers.state(layer) for layer in RightsLayer},
        num_unidentified_persons=layers.people.num_unidentified,
        num_of_unknown_age=layers.people.num_of_unknown_age,
        num_minors_uncovered=layers.people.num_minors_uncovered,
        num_deceased_uncovered=layers.people.num_deceased_uncovered,
        replicas_covered=layers.people.replicas_covered,
        release_days_left=days_until(layers.valid_to, as_of),
    )


def _signal_facts(evidence: AssetEvidence, grants: Sequence[GrantRecord], as_of: dt.datetime) -> SignalFacts:
    standing = standing_of(evidence.rights.signals, grants, as_of)
    return SignalFacts(
        examined=is_examined(evidence),
        generative_training=standing.generative_training,
        data_mining=standing.data_mining,
        ai_input=standing.ai_input,
        acquisition=standing.acquisition,
        num_against_training=standing.num_against,
        protocols_against=standing.protocols_against,
        overridden=standing.overridden,
        days_since_capture=NEVER_DAYS if _is_page_missing(evidence.rights) else standing.days_since_capture,
    )


def _is_page_missing(rights: RightsStatements) -> bool:
    """Return whether the footage came from a page that no capture is on record of."""
    captured = {signal.scope for signal in rights.signals if signal.captured_at is not None}
    return any(filing.source_url and f"url:{filing.source_url}" not in captured for filing in rights.filings)


def _footage_facts(rights: RightsStatements, evidence: AssetEvidence, as_of: dt.datetime) -> FootageFacts:
    """Combine what catalogues say of the file. Two that differ on how it came to us leave that unstated."""
    ways = {filing.acquisition for filing in rights.filings} - {Acquisition.NOT_STATED}
    embargoes = [filing.embargo_until for filing in rights.filings if filing.embargo_until is not None]
    return FootageFacts(
        acquisition=next(iter(ways)) if len(ways) == 1 else Acquisition.NOT_STATED,
        restrictions=tuple(sorted({tag for filing in rights.filings for tag in filing.restrictions})),
        embargoed=any(until > as_of for until in embargoes),
        titles_broken=rights.has_broken_titles,
        num_titles=len(rights.titles),
        is_own_output=evidence.is_own_output,
        has_research_ancestor=evidence.has_research_ancestor,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """The facts of a clip, should it rely on one of the alternatives that it has."""

    ground: Ground
    facts: Facts
    is_shared: bool
    """Other clips of the same pass have this very object."""


class FactsOfClips:
    """The facts of clip after clip for one purpose, use and time. What clips have in common is made once.

    `wanted` names the facts that somebody will ask for; the duration, which tells most clips apart, is left out
    where nobody does.
    """

    def __init__(
        self,
        comparison: Comparison,
        *,
        purpose: str,
        use: Use | None,
        as_of: dt.datetime,
        wanted: frozenset[str],
    ) -> None:
        self._comparison = comparison
        self._purpose = purpose
        self._use = use
        self._as_of = as_of
        # The asset of the last clip: clips come asset by asset, share its shape, and most often all their facts.
        self._evidence: AssetEvidence | None = None
        self._evidence_shape: _Shape = (False, False, False, False, ())
        self._of_asset: dict[tuple[bool, float], tuple[Alternative, ...]] = {}
        self._is_duration_wanted = "media.duration_seconds" in wanted
        self._grounds: dict[_Shape, tuple[tuple[Ground, ...], int]] = {}
        self._shared: dict[tuple[_Shape, bool, float], tuple[Alternative, ...]] = {}

    def of(self, clip: ClipRecord, evidence: AssetEvidence) -> tuple[Alternative, ...]:
        """Return the alternatives of a clip, at least one: without a grant to rely on, that there is none."""
        # An asset is recorded only when every frame was decoded. Tenths of a second keep equal facts equal.
        tenths = round(clip.duration_seconds, 1) if self._is_duration_wanted else 0.0
        if evidence.rights is not NO_STATEMENTS or evidence.matches or evidence.exact_reference_sets:
            return self._alternatives(clip, evidence, tenths, is_shared=False)
        if evidence is not self._evidence:
            self._evidence, self._evidence_shape = evidence, _shape(evidence)
            self._of_asset = {}
        own = is_compared(clip, evidence, self._comparison), tenths
        found = self._of_asset.get(own)
        if found is None:
            found = self._of_asset[own] = self._shared_alternatives(clip, evidence, tenths)
        return found

    def _shared_alternatives(
        self, clip: ClipRecord, evidence: AssetEvidence, tenths: float
    ) -> tuple[Alternative, ...]:
        key = self._evidence_shape, is_compared(clip, evidence, self._comparison), tenths
        found = self._shared.get(key)
        if found is None:
            if len(self._shared) >= MAX_SHARED:
                self._shared.clear()
                self._grounds.clear()
            found = self._shared[key] = self._alternatives(clip, evidence, tenths, is_shared=True)
        return found

    def _alternatives(
        self, clip: ClipRecord, evidence: AssetEvidence, tenths: float, *, is_shared: bool
    ) -> tuple[Alternative, ...]:
        grounds, num_competing = self._grounds_of(clip, evidence)
        matches = match_facts(clip, evidence, self._comparison, num_competing=num_competing)
        media = MediaFacts(fully_decoded=True, duration_seconds=tenths)
        return tuple(
            Alternative(
                ground=ground,
                facts=Facts(
                    grant=ground.grant,
                    layers=ground.layers,
                    signals=ground.signals,
                    footage=ground.footage,
                    media=media,
                    matches=matches,
                    purpose=self._purpose,
                ),
                is_shared=is_shared,
            )
            for ground in grounds
        )

    def _grounds_of(self, clip: ClipRecord, evidence: AssetEvidence) -> tuple[tuple[Ground, ...], int]:
        if evidence.rights is not NO_STATEMENTS:
            return clip_grounds(clip, evidence, self._use, self._as_of)
        key = _shape(evidence)
        found = self._grounds.get(key)
        if found is None:
            found = self._grounds[key] = clip_grounds(clip, evidence, self._use, self._as_of)
        return found


_Shape = tuple[bool, bool, bool, bool, tuple[int, ...]]


def _shape(evidence: AssetEvidence) -> _Shape:
    """Return what the grounds of an asset follow from, if no catalogue and no signal speaks of it."""
    return (
        is_examined(evidence),
        evidence.is_own_output,
        evidence.has_research_ancestor,
        evidence.asset.audio_codec is None,
        tuple(grant.id for grant in evidence.claims),
    )
