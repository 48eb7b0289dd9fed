from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from db.errors import RefusedError
from governance.credentials import engine as content_credentials
from governance.credentials import library
from governance.credentials.engine import ingredient_from_sidecar, read_store, sign_embedded, sign_sidecar
from governance.credentials.self_test import require_working_identity
from governance.errors import NoManifest, SigningError, VerificationError
from governance.manifests import manifest as m
from governance.signing.keys import SigningIdentity
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.mp4_surgery import box, flip, span_of
from tests.governance.signed_chain import (
    VERSION,
    SignedChain,
    clip_statement,
    make_signer,
    model_ingredient,
    sign_clip,
    write_clip,
)
from tests.governance.signing.large_clip import write_large_clip

ROOT = "ab" * 32


def _sign_clip_manifest(
    chain: SignedChain, manifest: dict[str, Any], source: Path, destination: Path
) -> None:
    sign_embedded(
        manifest,
        source,
        destination,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=chain.signer.identity,
        trust=chain.signer.trust,
        ingredients=[chain.model_ingredient],
    )


def test_a_signed_clip_reads_trusted_and_brings_its_whole_chain(signed_chain: SignedChain) -> None:
    store = read_store(signed_chain.clip, signed_chain.signer.trust, media_type="video/mp4")
    assert store.state == "Trusted"
    assert len(store.manifests) == 3
    assert not store.active_failures()
    assert not store.ingredient_failures()


def test_signing_leaves_the_source_as_it_was(signed_chain: SignedChain, tmp_path: Path) -> None:
    before = signed_chain.unsigned_clip.read_bytes()
    sign_clip(
        signed_chain.unsigned_clip,
        tmp_path / "out.mp4",
        signed_chain.clip_statement,
        signed_chain.signer,
        model=signed_chain.model_ingredient,
    )
    assert signed_chain.unsigned_clip.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_file_without_credentials_is_a_third_answer(signed_chain: SignedChain) -> None:
    with pytest.raises(NoManifest, match=r"unsigned\.mp4: carries no Content Credentials"):
        read_store(signed_chain.unsigned_clip, signed_chain.signer.trust, media_type="video/mp4")


@pytest.mark.parametrize("store", [b"", b"no store at all, but long enough to be tried"])
def test_a_sidecar_that_is_none_is_a_failure(signed_chain: SignedChain, tmp_path: Path, store: bytes) -> None:
    sidecar = tmp_path / "x.c2pa"
    sidecar.write_bytes(store)
    with pytest.raises(VerificationError):
        read_store(
            signed_chain.weights, signed_chain.signer.trust, media_type=m.MODEL_MEDIA_TYPE, sidecar=sidecar
        )


def test_signing_a_signed_clip_again_is_refused(signed_chain: SignedChain, tmp_path: Path) -> None:
    """The library would drop the first manifest without a word, and the result would read Trusted."""
    with pytest.raises(RefusedError, match="is signed already"):
        sign_clip(
            signed_chain.clip,
            tmp_path / "again.mp4",
            signed_chain.clip_statement,
            signed_chain.signer,
            model=signed_chain.model_ingredient,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("as_link", [False, True])
def test_signing_a_clip_onto_itself_is_refused(
    signed_chain: SignedChain, tmp_path: Path, *, as_link: bool
) -> None:
    """The library would empty it."""
    source = tmp_path / "clip.mp4"
    shutil.copy(signed_chain.unsigned_clip, source)
    destination = tmp_path / "link.mp4" if as_link else source
    if as_link:
        destination.symlink_to(source)
    with pytest.raises(RefusedError, match="onto itself"):
        _sign_clip_manifest(
            signed_chain, m.clip_manifest(clip_statement(ROOT), generator_version="1"), source, destination
        )
    assert source.read_bytes() == signed_chain.unsigned_clip.read_bytes()


def test_a_source_with_unsigned_data_is_not_signed(signed_chain: SignedChain, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(signed_chain.unsigned_clip.read_bytes() + box("free", b"payload"))
    with pytest.raises(VerificationError, match="container: "):
        sign_clip(
            source,
            tmp_path / "out.mp4",
            signed_chain.clip_statement,
            signed_chain.signer,
            model=signed_chain.model_ingredient,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_bad_manifest_leaves_nothing_behind_and_an_old_file_alone(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    destination = tmp_path / "out.mp4"
    destination.write_bytes(b"older")
    manifest = m.clip_manifest(clip_statement(ROOT), generator_version=VERSION)
    manifest["assertions"][0]["data"]["actions"] = [{"action": "c2pa.created"}]
    with pytest.raises(VerificationError, match=r"Invalid: assertion\.action\.malformed in active manifest"):
        _sign_clip_manifest(signed_chain, manifest, signed_chain.unsigned_clip, destination)
    assert destination.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_manifest_that_refers_to_no_ingredient_is_refused(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    signer = signed_chain.signer
    with pytest.raises(SigningError, match="could not be signed"):
        sign_embedded(
            m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION),
            signed_chain.unsigned_clip,
            tmp_path / "out.mp4",
            media_type=m.CLIP_MEDIA_TYPE,
            identity=signer.identity,
            trust=signer.trust,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_reported(signed_chain: SignedChain, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SigningError, match=r"unsigned\.mp4: could not be signed"):
        sign_clip(
            signed_chain.unsigned_clip,
            tmp_path / "file" / "out.mp4",
            signed_chain.clip_statement,
            signed_chain.signer,
            model=signed_chain.model_ingredient,
        )


def test_a_rename_that_fails_leaves_nothing_behind(signed_chain: SignedChain, tmp_path: Path) -> None:
    destination = tmp_path / "out.mp4"
    destination.mkdir()
    with pytest.raises(SigningError, match=r"unsigned\.mp4: could not be signed: .*out\.mp4"):
        sign_clip(
            signed_chain.unsigned_clip,
            destination,
            signed_chain.clip_statement,
            signed_chain.signer,
            model=signed_chain.model_ingredient,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_full_disk_is_reported_and_leaves_nothing_behind(signed_chain: SignedChain, tmp_path: Path) -> None:
    """The copy does not fit under the file size limit of the process, which is how a full disk looks to it."""
    process = multiprocessing.get_context("fork").Process(
        target=_sign_on_a_full_disk, args=(signed_chain, tmp_path)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert list(tmp_path.iterdir()) == []


def _sign_on_a_full_disk(chain: SignedChain, folder: Path) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(SigningError, match="could not be signed"):
        sign_clip(
            chain.unsigned_clip,
            folder / "out.mp4",
            chain.clip_statement,
            chain.signer,
            model=chain.model_ingredient,
        )


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_signing_works_after_a_fork(signed_chain: SignedChain, tmp_path: Path) -> None:
    """Contexts of the library do not survive one."""
    process = multiprocessing.get_context("fork").Process(
        target=sign_clip,
        args=(
            signed_chain.unsigned_clip,
            tmp_path / "out.mp4",
            signed_chain.clip_statement,
            signed_chain.signer,
        ),
        kwargs={"model": signed_chain.model_ingredient},
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert (tmp_path / "out.mp4").exists()


def test_an_identity_that_the_anchors_do_not_know_signs_nothing(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    stranger = make_signer(tmp_path / "keys")
    with pytest.raises(
        SigningError, match=r"self-test: .* reads Valid \(signingCredential\.untrusted\), expected Trusted"
    ) as caught:
        sign_sidecar(
            m.model_manifest(signed_chain.model_statement, generator_version=VERSION),
            signed_chain.weights,
            tmp_path / "x.c2pa",
            media_type=m.MODEL_MEDIA_TYPE,
            identity=stranger.identity,
            trust=signed_chain.signer.trust,
        )
    assert "trust anchors" in str(caught.value.hint)
    assert not (tmp_path / "x.c2pa").exists()


def test_a_key_of_another_certificate_fails_in_the_self_test(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    stranger = make_signer(tmp_path / "keys")
    mixed: SigningIdentity = dataclasses.replace(
        signed_chain.signer.identity, key_pem=stranger.identity.key_pem
    )
    with pytest.raises(SigningError, match="self-test"):
        require_working_identity(mixed, signed_chain.signer.trust)


def test_changed_weights_do_not_become_an_ingredient(signed_chain: SignedChain, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(flip(signed_chain.weights.read_bytes(), 100))
    shutil.copy(sidecar_of(signed_chain.weights), sidecar_of(weights))
    with pytest.raises(VerificationError, match=r"weights\.safetensors: .*assertion\.dataHash\.mismatch"):
        model_ingredient(weights, signed_chain.model_statement, signed_chain.signer)


def test_an_ingredient_of_strangers_is_refused(signed_chain: SignedChain, tmp_path: Path) -> None:
    stranger = make_signer(tmp_path / "keys")
    with pytest.raises(VerificationError, match=r"signingCredential\.untrusted"):
        ingredient_from_sidecar(
            signed_chain.snapshot,
            sidecar_of(signed_chain.snapshot),
            title="spring",
            label="snapshot",
            data_types=m.SNAPSHOT_DATA_TYPES,
            media_type=m.SNAPSHOT_MEDIA_TYPE,
            trust=stranger.trust,
        )


def test_the_settings_keep_the_network_off(signed_chain: SignedChain, tmp_path: Path) -> None:
    """A file that names a remote manifest made the library fetch whatever address it named."""
    from c2pa import Builder, C2paSignerInfo, Signer

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        identity, context = (
            signed_chain.signer.identity,
            content_credentials.context_of(signed_chain.signer.trust),
        )
        info = C2paSignerInfo(identity.algorithm, identity.chain_pem, identity.key_pem, None)
        remote = tmp_path / "remote.mp4"
        definition = m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION)
        del definition["assertions"][0]["data"]["actions"][0]["parameters"]["ingredientIds"]
        with (
            Builder(definition, context=context) as builder,
            Signer.from_info(info) as signer,
            signed_chain.unsigned_clip.open("rb") as source,
            remote.open("w+b") as destination,
        ):
            builder.set_no_embed()
            builder.set_remote_url(url)
            builder.sign(signer, "video/mp4", source, destination)
        with pytest.raises((NoManifest, VerificationError)):
            read_store(remote, signed_chain.signer.trust, media_type="video/mp4")
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_prompt_and_the_rights_holders_are_not_in_the_clip(signed_chain: SignedChain) -> None:
    store = read_store(signed_chain.clip, signed_chain.signer.trust, media_type="video/mp4")
    text = json.dumps(dict(store.manifests))
    assert "red kite" not in text
    assert "rightsHolder" not in text


def test_published_files_read_as_their_publisher_says(shared_c2pa: Path) -> None:
    from governance.trust.anchors import load_trust_anchors

    trust = load_trust_anchors([shared_c2pa / "files" / "test_cert_root_bundle.pem"])
    states = {
        "public_adobe-20220124-CA.jpg": "Trusted",
        "public_adobe-20220124-E-dat-CA.jpg": "Invalid",
        "public_adobe-20220124-E-sig-CA.jpg": "Invalid",
    }
    for name, state in states.items():
        store = read_store(shared_c2pa / "files" / name, trust, media_type="image/jpeg")
        assert store.state == state
        assert bool(store.active_failures()) == (state == "Invalid")


def test_finished_files_have_the_usual_rights(signed_chain: SignedChain) -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    for path in (signed_chain.clip, sidecar_of(signed_chain.weights)):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_eight_processes_sign_and_verify_at_once(signed_chain: SignedChain, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(8)
    processes = [
        context.Process(target=_sign_and_verify, args=(signed_chain, tmp_path / f"{number}.mp4", barrier))
        for number in range(8)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 8
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number}.mp4" for number in range(8)]


def _sign_and_verify(chain: SignedChain, destination: Path, barrier: Any) -> None:
    barrier.wait(60)
    sign_clip(
        chain.unsigned_clip, destination, chain.clip_statement, chain.signer, model=chain.model_ingredient
    )
    verdict = verify_file(destination, chain.signer.trust)
    assert verdict.outcome is VerdictOutcome.PASS, verdict.failures


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_kill_in_the_middle_of_signing_leaves_the_old_file_and_nothing_that_stays(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    """The child stops inside the signature, with the copy half written, and is killed there."""
    destination = tmp_path / "out.mp4"
    destination.write_bytes(b"older")
    context = multiprocessing.get_context("fork")
    is_signing = context.Event()
    child = context.Process(target=_sign_forever, args=(signed_chain, destination, is_signing))
    child.start()
    assert is_signing.wait(60)
    assert [path.name[0] for path in sorted(tmp_path.iterdir())] == [".", "o"]
    child.kill()
    child.join(60)
    assert child.exitcode == -9
    assert destination.read_bytes() == b"older"
    sign_clip(
        signed_chain.unsigned_clip,
        destination,
        signed_chain.clip_statement,
        signed_chain.signer,
        model=signed_chain.model_ingredient,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert verify_file(destination, signed_chain.signer.trust).outcome is VerdictOutcome.PASS


def _sign_forever(chain: SignedChain, destination: Path, is_signing: Any) -> None:
    """Sign with a function that answers the self-test and then no more."""
    key = serialization.load_pem_private_key(chain.signer.identity.key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signatures: list[bytes] = []

    def sign(data: bytes) -> bytes:
        if signatures:
            is_signing.set()
            threading.Event().wait()
        signatures.append(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return signatures[0]

    identity = dataclasses.replace(chain.signer.identity, key_pem=b"", sign=sign)
    sign_clip(
        chain.unsigned_clip,
        destination,
        chain.clip_statement,
        dataclasses.replace(chain.signer, identity=identity),
        model=chain.model_ingredient,
    )


def test_a_fragmented_clip_signs_verifies_and_is_guarded(signed_chain: SignedChain, tmp_path: Path) -> None:
    plain, signed = tmp_path / "plain.mp4", tmp_path / "signed.mp4"
    write_clip(plain, container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"})
    content = plain.read_bytes()
    assert b"moof" in content
    _sign_clip_manifest(
        signed_chain, m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION), plain, signed
    )
    assert verify_file(signed, signed_chain.signer.trust).outcome is VerdictOutcome.PASS
    whole = signed.read_bytes()
    start, end = span_of(whole, "moof")
    media_start, media_end = span_of(whole, "mdat")
    for damaged in (
        whole[:start] + whole[media_end:],
        flip(whole, media_start + 40),
        whole[:end] + whole[media_end:],
    ):
        signed.write_bytes(damaged)
        assert verify_file(signed, signed_chain.signer.trust).outcome is VerdictOutcome.FAIL


def test_what_a_manifest_refers_to_goes_in_with_it(signed_chain: SignedChain, tmp_path: Path) -> None:
    """Ingredients that nobody signed, and bytes such as a thumbnail's, beside the signed model."""
    manifest = m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION)
    manifest["thumbnail"] = {"format": "image/jpeg", "identifier": "look.jpg"}
    manifest["ingredients"] = [
        *manifest.get("ingredients", ()),
        {"title": "a base model", "relationship": "inputTo", "label": "base", "instance_id": "urn:sha256:ab"},
    ]
    picture = b"\xff\xd8\xff\xe0 as good as a picture \xff\xd9"
    written = sign_embedded(
        manifest,
        signed_chain.unsigned_clip,
        tmp_path / "out.mp4",
        media_type=m.CLIP_MEDIA_TYPE,
        identity=signed_chain.signer.identity,
        trust=signed_chain.signer.trust,
        ingredients=[signed_chain.model_ingredient],
        resources=m.clip_resources(signed_chain.clip_statement) | {"look.jpg": picture},
    )
    titles = {ingredient["title"] for ingredient in written.active["ingredients"]}
    assert {"a base model", "tiny"} <= titles
    assert picture in written.jumbf
    assert verify_file(tmp_path / "out.mp4", signed_chain.signer.trust).outcome is VerdictOutcome.PASS


def test_a_large_file_is_hashed_in_pieces(
    signed_chain: SignedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes the place of 256 MB here is the size of the clip, less one."""
    size = signed_chain.unsigned_clip.stat().st_size
    for threshold, has_pieces in ((size, False), (size - 1, True)):
        monkeypatch.setattr(library, "MERKLE_ABOVE_BYTES", threshold)
        signed = tmp_path / f"{threshold}.mp4"
        sign_clip(
            signed_chain.unsigned_clip,
            signed,
            signed_chain.clip_statement,
            signed_chain.signer,
            model=signed_chain.model_ingredient,
        )
        assert verify_file(signed, signed_chain.signer.trust).outcome is VerdictOutcome.PASS
        store = read_store(signed, signed_chain.signer.trust, media_type=m.CLIP_MEDIA_TYPE)
        (binding,) = (entry for entry in store.active["assertions"] if entry["label"] == "c2pa.hash.bmff.v3")
        assert ("merkle" in binding["data"]) == has_pieces


@pytest.mark.slow
def test_300_megabytes_are_signed_and_verified_in_bounded_memory(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    """In a process of its own, whose peak is the measure: little on top of a small clip's."""
    large = tmp_path / "large.mp4"
    write_large_clip(signed_chain.unsigned_clip, large, num_bytes=300_000_000)
    small_kib, large_kib = (_peak_kib(source, tmp_path) for source in (signed_chain.unsigned_clip, large))
    assert large_kib - small_kib < 60_000


def _peak_kib(source: Path, folder: Path) -> int:
    arguments = [sys.executable, "-c", _SIGN_IN_CHILD, str(source), str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


_SIGN_IN_CHILD = """
import resource, sys, tempfile
from pathlib import Path
from governance.manifests import manifest as m
from governance.credentials.engine import sign_embedded
from governance.verification.verify import verify_file
from tests.governance.signed_chain import make_signer

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
with tempfile.TemporaryDirectory(dir=folder) as own:
    signer = make_signer(Path(own) / "keys")
    action = {"action": "c2pa.created", "digitalSourceType": m.CLIP_SOURCE_TYPE}
    actions = {"label": m.ACTIONS_LABEL, "created": True, "data": {"actions": [action], "allActionsIncluded": True}}
    manifest = {"claim_generator_info": [{"name": "test"}], "assertions": [actions]}
    signed = Path(own) / "signed.mp4"
    sign_embedded(manifest, source, signed, media_type="video/mp4", identity=signer.identity, trust=signer.trust)
    verdict = verify_file(signed, signer.trust)
    assert {failure.code for failure in verdict.failures} == {"chain.missing"}, verdict.failures
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
