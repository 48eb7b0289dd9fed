"""Statements on what the validator found: structure, hashes and trust.

All six make up the integrity rubric; the first four are in the conformance rubric too.
"""

from __future__ import annotations

from governance.conformance.crjson import CrManifest, items, member
from governance.conformance.statement import Check, statement
from governance.conformance.vocabulary import MALFORMATION_CODES, MISMATCH_CODES, TRUST_CODES

_INTEGRITY = "C2PA 2.4, validation status codes"


def _has_results(manifest: CrManifest) -> Check:
    is_missing = manifest.validation_results is None
    return Check(num_subjects=1, violations=("no validation results",) if is_missing else ())


def _no_failure(manifest: CrManifest, codes: frozenset[str]) -> Check:
    results = manifest.validation_results
    if not results:  # absent or empty: nobody validated, which is no success
        return Check(num_subjects=1, violations=("no validation results",))
    found = (member(entry, "code") for entry in items(member(results, "failure")))
    wrong = tuple(code for code in found if isinstance(code, str) and code in codes)
    return Check(num_subjects=1, violations=wrong)


@statement("validation:well_formed_data_present", _INTEGRITY, "The structure was validated.")
def well_formed_data_present(manifest: CrManifest) -> Check:
    """There are validation results."""
    return _has_results(manifest)


@statement("validation:well_formed_success", _INTEGRITY, "The validator found nothing malformed or missing.")
def well_formed_success(manifest: CrManifest) -> Check:
    """No failure is one of structure."""
    return _no_failure(manifest, MALFORMATION_CODES)


@statement("validation:valid_data_present", _INTEGRITY, "The integrity was validated.")
def valid_data_present(manifest: CrManifest) -> Check:
    """There are validation results."""
    return _has_results(manifest)


@statement("validation:valid_success", _INTEGRITY, "The validator found no hash that does not match.")
def valid_success(manifest: CrManifest) -> Check:
    """No failure is one of integrity."""
    return _no_failure(manifest, MISMATCH_CODES)


@statement("validation:trusted_data_present", _INTEGRITY, "The trust in the signer was validated.")
def trusted_data_present(manifest: CrManifest) -> Check:
    """There are validation results."""
    return _has_results(manifest)


@statement(
    "validation:trusted_success",
    _INTEGRITY,
    "The signature holds, and its certificate leads to a trust anchor.",
)
def trusted_success(manifest: CrManifest) -> Check:
    """No failure is one of trust."""
    return _no_failure(manifest, TRUST_CODES)
