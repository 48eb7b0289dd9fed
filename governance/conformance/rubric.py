"""The rubrics of the C2PA conformance programme, and files judged by them.

Edition of 6 August 2026: `conformance` is the asset rubric of programme 0.2 for specification 2.4, `integrity` the
asset integrity rubric, and the signals are those of the local signals rubric. The statements are decided here, in
Python; the tests hold them against the published formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.conformance import action_rules, assertion_rules, ingredient_rules, validation_rules
from governance.conformance.crjson import CrManifest, manifests_of
from governance.conformance.signals import SIGNALS, Signal
from governance.conformance.statement import Finding, Statement, StatementOutcome


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """A named list of statements on the active manifest of a file."""

    name: str
    edition: str
    statements: tuple[Statement, ...]

    def judge(self, store: Mapping[str, Any]) -> RubricReport:
        """Decide every statement for the active manifest of a store in crJSON."""
        manifests = manifests_of(store)
        active = manifests[0] if manifests else CrManifest({})
        return RubricReport(
            rubric=self, findings=tuple(statement.evaluate(active) for statement in self.statements)
        )


@dataclass(frozen=True, kw_only=True)
class RubricReport:
    """Every statement of a rubric with what became of it."""

    rubric: Rubric
    findings: tuple[Finding, ...]

    @property
    def num_held(self) -> int:
        """How many statements are satisfied, those without anything to apply to among them."""
        return sum(finding.holds for finding in self.findings)

    @property
    def has_failed(self) -> bool:
        """Whether a statement failed; a warning is none."""
        return any(finding.outcome is StatementOutcome.FAILED for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data, with stable keys."""
        return {
            "rubric": self.rubric.name,
            "edition": self.rubric.edition,
            "held": self.num_held,
            "of": len(self.findings),
            "statements": [
                {
                    "id": finding.statement.id,
                    "source": finding.statement.source,
                    "requirement": finding.statement.requirement,
                    "outcome": finding.outcome.value,
                    "why": finding.why,
                }
                for finding in self.findings
            ],
        }


@dataclass(frozen=True, kw_only=True)
class ManifestSignals:
    """The signals that one manifest of a store gives."""

    manifest_label: str
    signals: tuple[Signal, ...]


def read_signals(store: Mapping[str, Any]) -> tuple[ManifestSignals, ...]:
    """Return the signals of each manifest in crJSON, the active one first."""
    return tuple(
        ManifestSignals(
            manifest_label=str(manifest.label),
            signals=tuple(signal for signal in SIGNALS if signal.found_in(manifest)),
        )
        for manifest in manifests_of(store)
    )


CONFORMANCE = Rubric(
    name="conformance",
    edition="0.2 for C2PA 2.4, 2026-08-06",
    statements=(
        action_rules.perceptible_actions_have_source_types,
        assertion_rules.spec_version_is_said,
        action_rules.all_actions_included_is_said,
        action_rules.opened_has_no_source_type,
        validation_rules.well_formed_data_present,
        validation_rules.well_formed_success,
        validation_rules.valid_data_present,
        validation_rules.valid_success,
        action_rules.inception_comes_first,
        assertion_rules.no_deprecated_assertions,
        assertion_rules.standard_assertions_are_known,
        action_rules.no_deprecated_actions,
        action_rules.standard_actions_are_known,
        assertion_rules.custom_assertions_have_name_spaces,
        action_rules.custom_actions_have_name_spaces,
        action_rules.custom_parameters_have_name_spaces,
        action_rules.no_legacy_parameters,
        assertion_rules.manifest_is_named,
        assertion_rules.human_entries_are_not_rated,
        ingredient_rules.no_results_without_manifest,
        ingredient_rules.manifests_were_validated,
        ingredient_rules.relationships_are_known,
        action_rules.created_has_source_type,
        assertion_rules.claim_is_current,
        ingredient_rules.source_types_are_not_repeated,
        assertion_rules.preserved_original_is_one_place,
        assertion_rules.references_are_to_what_may_be_outside,
        assertion_rules.hashes_have_no_url,
        action_rules.opened_alone_is_complete,
        action_rules.opened_refers_to_its_parent,
        assertion_rules.tiff_has_no_box_hash,
    ),
)

INTEGRITY = Rubric(
    name="integrity",
    edition="1.0, 2026-08-06",
    statements=(
        validation_rules.well_formed_data_present,
        validation_rules.well_formed_success,
        validation_rules.valid_data_present,
        validation_rules.valid_success,
        validation_rules.trusted_data_present,
        validation_rules.trusted_success,
    ),
)
