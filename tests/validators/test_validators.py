"""Our files before two validators that are not ours.

- `@trustnxt/c2pa-ts` shares no code with the library that we sign with. It checks the hashes of content and assertions
  and the signature of the active manifest; it knows no trust list (any certificate will do) and looks at no ingredient.
  It cannot read the time-stamps of C2PA 2 nor Merkle hashes, and it looks for redacted assertions where they are no
  longer, so files of these kinds are not shown to it.
- `@contentauth/c2pa-wasm` runs the same Rust core with another cryptography, as the public verify site does. It checks
  trust and ingredients as well, under the anchors that it is given. It does not look where the samples lie: what plays
  could be another picture (the container guard of `verify` sees to that).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from governance.signing.editing import publish_signed, redact
from governance.signing.keys import TRUST_ANCHOR_FILE
from tests.governance.mp4_surgery import flip
from tests.governance.signed_chain import (
    SignedChain,
    make_signed_chain,
    make_signer,
    sign_clip,
    whole_clip_statement,
)
from tests.validators.conftest import Script

pytestmark = pytest.mark.slow

ACCEPTED = ["clip", "whole clip", "published"]
REDACTED = "redacted"
DAMAGE: dict[str, Callable[[bytes], int]] = {
    "picture": lambda data: data.index(b"mdat") + 100,
    "assertion": lambda data: data.index(b"urn:cleartitle:clip:0001") + 3,
    # The claim stands behind the assertions; both name the clip.
    "claim": lambda data: data.rindex(b"harbour kite 0001") + 3,
    # In front of the last signature of the store stands its certificate chain; the padding behind it is not signed.
    "certificate": lambda data: data.rindex(b"cleartitle development") + 3,
}
DAMAGE_BELOW: dict[str, Callable[[bytes], int]] = {
    # Only the manifest of the snapshot, two below that of the clip, names a policy.
    "snapshot": lambda data: data.index(b"commercial-training") + 3,
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> SignedChain:
    """Everything that we sign."""
    return make_signed_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def clips(chain: SignedChain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Clips as we write them, and what became of one by a flipped byte each."""
    folder = tmp_path_factory.mktemp("clips")
    signer = chain.signer
    paths = {"clip": chain.clip} | {name: folder / f"{name}.mp4" for name in (*ACCEPTED[1:], REDACTED)}
    whole = whole_clip_statement(chain.snapshot.read_bytes(), components=())
    sign_clip(chain.unsigned_clip, paths["whole clip"], whole, signer, model=chain.model_ingredient)
    publish_signed(paths["whole clip"], paths["published"], identity=signer.identity, trust=signer.trust)
    redact(
        paths["whole clip"],
        paths[REDACTED],
        ["cawg.metadata"],
        identity=signer.identity,
        trust=signer.trust,
    )
    for name, offset in (DAMAGE | DAMAGE_BELOW).items():
        data = chain.clip.read_bytes()
        paths[name] = folder / f"{name}.mp4"
        paths[name].write_bytes(flip(data, offset(data)))
    return paths


def _anchors(chain: SignedChain) -> Path:
    return chain.clip.parent / "keys" / TRUST_ANCHOR_FILE


def test_an_implementation_that_shares_no_code_accepts_our_clips(
    script: Script, clips: dict[str, Path]
) -> None:
    answers = script("c2pa_ts.mjs", *(clips[name] for name in ACCEPTED))
    found = [(answer.get("isValid"), answer.get("failures")) for answer in answers]
    assert found == [(True, [])] * len(ACCEPTED)
    for answer in answers:
        assert {"claimSignature.validated", "assertion.bmffHash.match"} <= set(answer["codes"])


@pytest.mark.parametrize("name", DAMAGE)
def test_an_implementation_that_shares_no_code_refuses_a_flipped_byte(
    script: Script, clips: dict[str, Path], name: str
) -> None:
    (answer,) = script("c2pa_ts.mjs", clips[name])
    assert answer.get("isValid") is not True
    assert answer.get("failures") or answer.get("error")


def test_what_the_verify_site_runs_trusts_our_clips(
    script: Script, clips: dict[str, Path], chain: SignedChain
) -> None:
    names = [*ACCEPTED, REDACTED]
    answers = script("c2pa_wasm.mjs", _anchors(chain), "video/mp4", *(clips[name] for name in names))
    found = [(answer.get("state"), answer.get("failures")) for answer in answers]
    assert found == [("Trusted", [])] * len(names)


@pytest.mark.parametrize("name", [*DAMAGE, *DAMAGE_BELOW])
def test_what_the_verify_site_runs_refuses_a_flipped_byte(
    script: Script, clips: dict[str, Path], chain: SignedChain, name: str
) -> None:
    (answer,) = script("c2pa_wasm.mjs", _anchors(chain), "video/mp4", clips[name])
    assert answer.get("state") not in {"Trusted", "Valid"}
    assert answer.get("failures") or answer.get("error")


def test_what_the_verify_site_runs_does_not_trust_another_authority(
    script: Script, clips: dict[str, Path], tmp_path: Path
) -> None:
    make_signer(tmp_path / "keys")
    (answer,) = script("c2pa_wasm.mjs", tmp_path / "keys" / TRUST_ANCHOR_FILE, "video/mp4", clips["clip"])
    assert answer["state"] == "Valid"
    assert "signingCredential.untrusted" in answer["failures"]


def test_a_clip_without_credentials_is_no_pass(script: Script, chain: SignedChain) -> None:
    (independent,) = script("c2pa_ts.mjs", chain.unsigned_clip)
    (site,) = script("c2pa_wasm.mjs", _anchors(chain), "video/mp4", chain.unsigned_clip)
    assert independent["error"] == "no manifest"
    assert "JumbfNotFound" in site["error"]
