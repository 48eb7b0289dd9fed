from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from ingest.encoders.compute import Compute
from ingest.encoders.encoder import (
    EncoderIdentity,
    OpenClipSpec,
    SscdSpec,
    fetch_encoder,
    open_encoder,
    parse_spec,
)
from ingest.errors import EncoderError
from tests.media import moving_scene

_IDENTITY = EncoderIdentity(name="a", weights_sha256="0" * 64, preprocessing="none", dim=4)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def _refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", _refuse)
    monkeypatch.setattr("socket.getaddrinfo", _refuse)


def _compute() -> Compute:
    import torch

    return Compute(device=torch.device("cpu"), dtype=torch.float32, reason="chosen by the test")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("default", None),
        ("open_clip:ViT-B-32/openai", OpenClipSpec("ViT-B-32", tag="openai")),
        ("open_clip:a/b/tag", OpenClipSpec("a/b", tag="tag")),
        ("open_clip:ViT-B-32@w.pt", OpenClipSpec("ViT-B-32", checkpoint=Path("w.pt"))),
        ("open_clip:ViT-B-32@/a/b@c/w.pt", OpenClipSpec("ViT-B-32", checkpoint=Path("/a/b@c/w.pt"))),
        ("open_clip:ViT-B-32@~/w.pt", OpenClipSpec("ViT-B-32", checkpoint=Path.home() / "w.pt")),
        ("sscd:/a/sscd_disc_mixup.torchscript.pt", SscdSpec(Path("/a/sscd_disc_mixup.torchscript.pt"))),
        ("sscd:~/w.onnx", SscdSpec(Path.home() / "w.onnx")),
        ("sscd:a#b.pt", SscdSpec(Path("a#b.pt"))),
        (f"sscd:w.pt#sha256={'aB' * 32}", SscdSpec(Path("w.pt"), sha256="ab" * 32)),
        (f"sscd:a#sha256=b.pt#sha256={'0' * 64}", SscdSpec(Path("a#sha256=b.pt"), sha256="0" * 64)),
    ],
)
def test_specs_are_read(spec: str, expected: OpenClipSpec | None) -> None:
    assert parse_spec(spec) == expected


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "Default",
        "ViT-B-32/openai",
        "ViT-B-32@w.pt",
        "open_clip:",
        "open_clip:ViT-B-32",
        "open_clip:ViT-B-32/",
        "open_clip:/openai",
        "open_clip:ViT-B-32@",
        "open_clip:@w.pt",
        "openclip:ViT-B-32/openai",
        "sscd",
        "sscd:",
        "SSCD:/a/w.pt",
        "sscd:#sha256=" + "0" * 64,
        "sscd:w.pt#sha256=",
        "sscd:w.pt#sha256=" + "0" * 63,
        "sscd:w.pt#sha256=" + "g" * 64,
    ],
)
def test_other_specs_are_refused_with_the_grammar(spec: str) -> None:
    with pytest.raises(EncoderError, match="is not understood") as raised:
        parse_spec(spec)
    for form in ("'default'", "open_clip:MODEL/TAG", "open_clip:MODEL@", "sscd:/path/to/", "#sha256="):
        assert form in str(raised.value.hint)


def test_an_identity_is_another_if_any_part_is() -> None:
    others = [
        dataclasses.replace(_IDENTITY, name="b"),
        dataclasses.replace(_IDENTITY, weights_sha256="1" * 64),
        dataclasses.replace(_IDENTITY, preprocessing="some"),
        dataclasses.replace(_IDENTITY, dim=5),
    ]
    assert len({_IDENTITY.digest, *(other.digest for other in others)}) == 5
    assert dataclasses.replace(_IDENTITY).digest == _IDENTITY.digest


@pytest.mark.parametrize("spec", [None, ""])
def test_the_embedded_default_serves_if_nothing_is_configured(spec: str | None) -> None:
    choice = open_encoder(spec, _compute())
    assert choice.encoder.identity.name == "efficientnet-lite0-gem"
    assert "no encoder is configured" in choice.reason
    assert "chosen by the test" in choice.reason


def test_the_default_can_be_asked_for_and_embeds_pictures() -> None:
    choice = open_encoder("default", _compute())
    assert "configured as 'default'" in choice.reason
    pictures = [*moving_scene(1, 2), *moving_scene(2, 1, 90, 60), *moving_scene(1, 1)]
    vectors_BD = choice.encoder.embed(pictures)
    assert vectors_BD.shape == (4, choice.encoder.identity.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors_BD, axis=1), 1, atol=1e-5)
    likeness_BB = vectors_BD @ vectors_BD.T
    assert likeness_BB[0, 3] == pytest.approx(1, abs=1e-4)
    assert likeness_BB[0, 1] > likeness_BB[0, 2] + 0.1


@pytest.mark.parametrize(
    "spec",
    [
        "open_clip:ViT-B-32/openai",
        "open_clip:ViT-B-32@{folder}/absent.safetensors",
        "open_clip:No-Such/openai",
        "sscd:{folder}/absent.torchscript.pt",
        "sscd:{folder}/absent.onnx",
    ],
)
def test_a_named_encoder_that_is_missing_is_never_replaced(tmp_path: Path, spec: str) -> None:
    with pytest.raises(EncoderError):
        open_encoder(spec.format(folder=tmp_path), _compute(), cache_dir=tmp_path)


def test_the_default_needs_no_fetching(tmp_path: Path) -> None:
    assert fetch_encoder("default", cache_dir=tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", ["open_clip:ViT-B-32@w.pt", "sscd:w.torchscript.pt"])
def test_a_local_file_cannot_be_fetched(tmp_path: Path, spec: str) -> None:
    with pytest.raises(EncoderError, match="nothing to download"):
        fetch_encoder(spec, cache_dir=tmp_path)
