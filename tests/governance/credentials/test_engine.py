from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from db.errors import RefusedError
from governance.credentials import engine as content_credentials
from governance.credentials import manifest as m
from governance.credentials.engine import ingredient_from_sidecar, read_store, sign_embedded, sign_sidecar
from governance.credentials.keys import SigningIdentity
from governance.credentials.verify import sidecar_of
from governance.errors import NoManifest, SigningError, VerificationError
from tests.governance.mp4_surgery import box, flip
from tests.governance.signed_chain import (
    VERSION,
    SignedChain,
    clip_statement,
    make_signer,
    model_ingredient,
    sign_clip,
)

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
    with pytest.raises(SigningError, match="could not be signed"):
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
    with pytest.raises(SigningError, match=r"self-test: .* reads Valid, expected Trusted") as caught:
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
        content_credentials._self_test(mixed, signed_chain.signer.trust)


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
            content_credentials._context(signed_chain.signer.trust),
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
    from governance.credentials.trust import load_trust_anchors

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
