"""Our rules against the published formulas, decided by the reference implementation of json-formula.

Every statement has to come out alike on our files, on public ones, on stores that break one statement each, and on
stores changed at random. There is one exception, and it is on the safe side: where something else stands in the place
of a text, a list or an object, some formulas read on; we say that the statement does not hold.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.conformance import vocabulary as v
from governance.conformance.crjson import CrManifest
from governance.conformance.reading import NO_ANCHORS, read_crjson
from governance.conformance.rubric import CONFORMANCE, INTEGRITY, Rubric
from governance.conformance.signals import SIGNALS
from governance.conformance.statement import Finding, StatementOutcome
from governance.trust.anchors import load_trust_anchors
from governance.verification.kinds import sidecar_of
from tests.governance.conformance.crjson_maker import BROKEN, KEPT, SIGNALLING, store
from tests.governance.signed_chain import make_signed_chain
from tests.validators.conftest import Script

pytestmark = pytest.mark.slow

SPEC_VERSION = "2.4"
NUM_RANDOM = 1000
SEED = 6
FILES = {
    "conformance": "asset-rubric-conformance0.2-spec2.4.yml",
    "integrity": "asset-rubric-integrity.yml",
    "signals": "asset-rubric-signals-local.yml",
}
Decide = Callable[[str, list[Any]], list[dict[str, str]]]


@pytest.fixture(scope="module")
def decide(script: Script, shared_c2pa: Path) -> Decide:
    """Decide a published rubric for documents: for each of them `true`, `false`, `warn` or `error` by statement."""
    import yaml

    def _decide(name: str, documents: list[Any]) -> list[dict[str, str]]:
        rubric, statements = yaml.safe_load_all((shared_c2pa / "rubrics" / FILES[name]).read_text())
        keys = ("id", "expression", "failIfMatched", "warnIfMatched")
        question = {
            "variables": rubric["variables"] | {"$expected_spec_version": SPEC_VERSION},
            "expressions": rubric["expressions"],
            "statements": [{key: entry.get(key) for key in keys} for entry in statements],
            "documents": documents,
        }
        answers: list[dict[str, str]] = script("rubric_oracle.mjs", text=json.dumps(question))
        return answers

    return _decide


@pytest.fixture(scope="module")
def read_stores(shared_c2pa: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The stores of our artefacts and of the public files."""
    chain = make_signed_chain(tmp_path_factory.mktemp("chain"))
    ours = [read_crjson(chain.clip, chain.signer.trust, media_type="video/mp4")] + [
        read_crjson(path, trust, media_type="application/octet-stream", sidecar=sidecar_of(path))
        for path in (chain.weights, chain.snapshot)
        for trust in (chain.signer.trust, NO_ANCHORS)
    ]
    anchors = load_trust_anchors([shared_c2pa / "files" / "test_cert_root_bundle.pem"])
    media_types = {".mp4": "video/mp4", ".jpg": "image/jpeg"}
    public = [
        read_crjson(path, trust, media_type=media_types[path.suffix])
        for path in sorted((shared_c2pa / "files").iterdir())
        if path.suffix in media_types and "no_manifest" not in path.name
        for trust in (anchors, NO_ANCHORS)
    ]
    assert len(public) == 22
    return ours + public


@pytest.fixture(scope="module")
def stores(read_stores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those, small ones that each break or keep a statement, and all of them changed at random."""
    cases = [case for cases in BROKEN.values() for case in cases] + [*KEPT.values(), *SIGNALLING.values()]
    known = [*read_stores, store(), *(store(case) for case in cases)]
    return [*known, *_changed_at_random(known)]


@pytest.fixture(scope="module")
def answers(decide: Decide, stores: list[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """What the formulas on the active manifest say of each store."""
    return {rubric.name: decide(rubric.name, stores) for rubric in (CONFORMANCE, INTEGRITY)}


@pytest.mark.parametrize("rubric", [CONFORMANCE, INTEGRITY], ids=lambda rubric: rubric.name)
def test_statements_come_out_as_the_formulas_say(
    answers: dict[str, list[dict[str, str]]], stores: list[dict[str, Any]], rubric: Rubric
) -> None:
    differences = []
    for document, published in zip(stores, answers[rubric.name], strict=True):
        findings = rubric.judge(document).findings
        assert {finding.statement.id for finding in findings} == set(published)
        differences += [
            (finding.statement.id, finding.outcome, finding.why, published[finding.statement.id])
            for finding in findings
            if not _agree(finding, published[finding.statement.id])
        ]
    assert differences == []


def _agree(finding: Finding, published: str) -> bool:
    if finding.why.endswith(("instead of a text", "no object", "no list")):
        return not finding.holds
    ours = {
        StatementOutcome.PASSED: "true",
        StatementOutcome.NOT_APPLICABLE: "true",
        StatementOutcome.FAILED: "false",
        StatementOutcome.WARNED: "warn",
    }[finding.outcome]
    # What cannot be evaluated does not hold.
    return ours == published or (ours == "false" and published == "error")


def test_signals_come_out_as_the_formulas_say(decide: Decide, stores: list[dict[str, Any]]) -> None:
    manifests = [manifest for document in stores for manifest in document["manifests"]]
    for manifest, published in zip(manifests, decide("signals", manifests), strict=True):
        assert {signal.id for signal in SIGNALS} == set(published)
        ours = {signal.id for signal in SIGNALS if signal.found_in(CrManifest(manifest))}
        theirs = {name for name, value in published.items() if value == "true"}
        # What cannot be read is ambiguous to us; some formulas find nothing ambiguous in what is not there.
        assert theirs <= ours
        assert ours - theirs <= {"transformation:signal_ambiguousActions"}
        is_undecided = published["transformation:signal_ambiguousActions"] == "error"
        assert ours == theirs or is_undecided or _has_malformed_actions(manifest)


def _has_malformed_actions(manifest: dict[str, Any]) -> bool:
    assertions = manifest.get("assertions")
    if not isinstance(assertions, dict) or not isinstance(assertions.get("c2pa.actions.v2", {}), dict):
        return True
    listed = assertions.get("c2pa.actions.v2", {}).get("actions", [])
    return not isinstance(listed, list) or any(
        not isinstance(action, dict) or not isinstance(action.get("action"), str) for action in listed
    )


def test_every_statement_was_met_both_ways(answers: dict[str, list[dict[str, str]]]) -> None:
    """Or else agreement would say little."""
    for decided in answers.values():
        for statement in decided[0]:
            outcomes = {answer[statement] for answer in decided}
            assert "true" in outcomes
            assert outcomes & {"false", "warn"}


def _changed_at_random(known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    rng = random.Random(SEED)
    for _ in range(NUM_RANDOM):
        document = {"manifests": copy.deepcopy(rng.choice(known)["manifests"][:1])}
        for _ in range(rng.randint(1, 4)):
            _change(document["manifests"][0], rng)
        yield document


_WORDS = sorted(
    v.ACTIONS
    | v.DEPRECATED_ACTIONS
    | v.ASSERTIONS
    | v.DEPRECATED_ASSERTIONS
    | v.MALFORMATION_CODES
    | v.MISMATCH_CODES
    | v.TRUST_CODES
    | v.RELATIONSHIPS
    | v.GENERATED_SOURCE_TYPES
    | v.POSSIBLY_GENERATED_SOURCE_TYPES
    | v.HUMAN_ENTRY_SOURCES
    | v.TIFF_MEDIA_TYPES
    | {"", "2.4", "2.4.0", "2.2", "c2pa.invented", "org.example.polished", "seed", "stds.exif", "urn:c2pa:1"}
    | {"exif.originalPreservationImage", "self#jumbf=c2pa.assertions/c2pa.actions.v2"}
)
_NAMES = (
    "url label specVersion digitalSourceType parameters ingredients ingredient description reviewRatings dataSource "
    "type activeManifest validationResults relationship allActionsIncluded actions action multiAssetPartIndex "
    "embeddedOriginalPreservationImage dc:format code failure claim.v2 c2pa.asset-type.v2 c2pa.hash.boxes "
    "c2pa.ingredient.v3 c2pa.hash.data c2pa.external-reference"
).split()


def _change(manifest: dict[str, Any], rng: random.Random) -> None:
    inside = {name: manifest.get(name) for name in ("assertions", "claim.v2", "validationResults")}
    containers = list(_containers(inside))[1:] or [manifest]
    actions = [found for found in containers if isinstance(found, dict) and "action" in found]
    pool = rng.choice([containers, actions or containers, [manifest]])
    container = rng.choice(pool)
    if isinstance(container, list):
        if container and rng.random() < 0.5:
            container.pop(rng.randrange(len(container)))
        else:
            container.insert(rng.randint(0, len(container)), _value(rng))
    elif container and rng.random() < 0.6:
        name = rng.choice(list(container))
        if rng.random() < 0.3:
            del container[name]
        else:
            container[name] = _value(rng)
    else:
        container[rng.choice(rng.choice([_NAMES, _WORDS]))] = _value(rng)


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if kind < 0.5 or depth > 2:
        return rng.choice(_WORDS)
    if kind < 0.7:
        return rng.choice([None, True, False, 0, 1, 2.4])
    if kind < 0.85:
        return {rng.choice(_NAMES): _value(rng, depth + 1) for _ in range(rng.randint(0, 3))}
    return [_value(rng, depth + 1) for _ in range(rng.randint(0, 2))]
