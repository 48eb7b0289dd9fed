"""What the makers of a file wrote into it is shown, and does nothing to whoever looks."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from governance.credentials.engine import sign_embedded, sign_sidecar
from governance.manifests import manifest as m
from governance.signing.keys import TRUST_ANCHOR_FILE
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.cli import cleartitle
from tests.governance.signed_chain import VERSION, SignedChain, snapshot_ingredient

HOSTILE = [
    "\x1b[31mred\x1b]0;owned\x07",
    "\u202eevil\u2066fdp.exe",
    "<script>alert(1)</script>",
    "x'); DROP TABLE clips;--",
    "line\nPASS  other.mp4\r\n",
    "\u200b\u200e\ufeff\u2028",
    "a" * 10_000,
]


def _hostile_weights(chain: SignedChain, folder: Path, text: str) -> Path:
    """Weights whose every text is hostile, as far as the library will sign it."""
    manifest = m.model_manifest(chain.model_statement, generator_version=VERSION)
    manifest["title"] = text
    manifest["claim_generator_info"][0]["name"] = text
    manifest["assertions"][1]["data"]["name"] = text
    manifest["assertions"][1]["data"]["architecture"] = text
    action = manifest["assertions"][0]["data"]["actions"][0]
    action["softwareAgent"] = {"name": text}
    weights = folder / "w.safetensors"
    weights.write_bytes(chain.weights.read_bytes())
    sign_sidecar(
        manifest,
        weights,
        sidecar_of(weights),
        media_type=m.MODEL_MEDIA_TYPE,
        identity=chain.signer.identity,
        trust=chain.signer.trust,
        ingredients=[snapshot_ingredient(chain.snapshot, chain.signer)],
    )
    return weights


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_every_text_of_a_verdict_is_harmless(signed_chain: SignedChain, tmp_path: Path, text: str) -> None:
    verdict = verify_file(_hostile_weights(signed_chain, tmp_path, text), signed_chain.signer.trust)
    assert verdict.outcome is VerdictOutcome.PASS
    shown = _texts(verdict.as_json())
    assert shown
    for piece in shown:
        assert not {unicodedata.category(character) for character in piece} & {"Cc", "Cf", "Zl", "Zp"}
    assert verdict.credentials is not None
    assert len(verdict.credentials.title) < 1000


def test_hostile_texts_are_printed_safely(signed_chain: SignedChain, tmp_path: Path) -> None:
    text = "".join(HOSTILE[:6]) + "b" * 10_000
    weights = _hostile_weights(signed_chain, tmp_path, text)
    trust = tmp_path / TRUST_ANCHOR_FILE
    trust.write_bytes(signed_chain.signer.trust.pem)
    for options in ([], ["--json"]):
        answer = cleartitle("verify", weights, "--trust", trust, *options, cwd=tmp_path)
        assert answer.exit_code == 0, answer.stderr
        categories = {unicodedata.category(character) for character in answer.stdout.replace("\n", "")}
        assert not categories & {"Cc", "Cf", "Zl", "Zp"}
        assert not any(line.startswith("PASS  other") for line in answer.stdout.splitlines())
    assert json.loads(answer.stdout)["outcome"] == "pass"


def test_a_hostile_ingredient_title_is_named_safely(signed_chain: SignedChain, tmp_path: Path) -> None:
    """The titles of ingredients stand in the reasons of failures."""
    import dataclasses

    from tests.governance.mp4_surgery import flip

    ingredient = signed_chain.model_ingredient
    title = HOSTILE[0] + HOSTILE[1] + "c" * 10_000
    hostile = dataclasses.replace(ingredient, definition={**ingredient.definition, "title": title})
    clip = tmp_path / "clip.mp4"
    sign_embedded(
        m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION),
        signed_chain.unsigned_clip,
        clip,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=signed_chain.signer.identity,
        trust=signed_chain.signer.trust,
        ingredients=[hostile],
    )
    clip.write_bytes(flip(clip.read_bytes(), clip.read_bytes().index(b"rectified-flow DiT")))
    verdict = verify_file(clip, signed_chain.signer.trust)
    assert verdict.outcome is VerdictOutcome.FAIL
    reasons = " ".join(failure.reason for failure in verdict.failures)
    assert "depth 1" in reasons
    assert "\x1b" not in reasons
    assert "\u202e" not in reasons
    assert all(len(failure.reason) < 4000 for failure in verdict.failures)
