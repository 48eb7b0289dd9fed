from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from db.errors import ConfigError, UndecidedError
from governance.signing.keys import (
    SIGNING_CHAIN_FILE,
    SIGNING_KEY_FILE,
    TRUST_ANCHOR_FILE,
    create_development_keys,
)
from governance.trust.anchors import load_trust_anchors, parse_trust_anchors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_development_keys(tmp_path / "keys")
    return tmp_path / "keys"


def test_several_files_count_together_and_comments_are_dropped(folder: Path, tmp_path: Path) -> None:
    create_development_keys(tmp_path / "other")
    commented = tmp_path / "commented.pem"
    commented.write_bytes(
        b"# our root\n" + (tmp_path / "other" / TRUST_ANCHOR_FILE).read_bytes() + b"\nend\n"
    )
    anchors = load_trust_anchors([folder / TRUST_ANCHOR_FILE, commented])
    assert len(x509.load_pem_x509_certificates(anchors.pem)) == 2
    assert b"our root" not in anchors.pem
    assert "commented.pem" in anchors.description


def test_anchors_for_times_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    create_development_keys(tmp_path / "clock")
    anchors = load_trust_anchors([folder / TRUST_ANCHOR_FILE], [tmp_path / "clock" / TRUST_ANCHOR_FILE])
    assert anchors.pem == (folder / TRUST_ANCHOR_FILE).read_bytes()
    assert anchors.time_stamp_pem == (tmp_path / "clock" / TRUST_ANCHOR_FILE).read_bytes()
    assert load_trust_anchors([folder / TRUST_ANCHOR_FILE]).time_stamp_pem == b""


def test_anchors_for_times_alone_trust_nobody(folder: Path) -> None:
    with pytest.raises(UndecidedError, match="no trust anchors"):
        load_trust_anchors([], [folder / TRUST_ANCHOR_FILE])


def test_no_anchors_at_all_decide_nothing() -> None:
    with pytest.raises(UndecidedError, match="no trust anchors") as caught:
        load_trust_anchors([])
    assert "--trust" in str(caught.value.hint)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UndecidedError, match=r"gone\.pem"):
        load_trust_anchors([tmp_path / "gone.pem"])


def test_text_without_a_certificate_decides_nothing() -> None:
    with pytest.raises(UndecidedError, match="holds no certificate"):
        parse_trust_anchors(b"hello", description="x.pem")


def test_a_damaged_block_beside_a_good_one_is_not_skipped(folder: Path) -> None:
    """c2pa-rs ignores such a block without a word."""
    good = (folder / TRUST_ANCHOR_FILE).read_bytes()
    damaged = good.replace(b"MII", b"MIJ", 1)
    with pytest.raises(ConfigError, match="certificate 2 is damaged"):
        parse_trust_anchors(good + damaged, description="x.pem")


def test_a_block_cut_short_is_not_skipped(folder: Path) -> None:
    good = (folder / TRUST_ANCHOR_FILE).read_bytes()
    with pytest.raises(ConfigError, match="no matching BEGIN and END"):
        parse_trust_anchors(good + good[:200], description="x.pem")


def test_a_private_key_is_no_anchor(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is a PRIVATE KEY, expected CERTIFICATE"):
        parse_trust_anchors((folder / SIGNING_KEY_FILE).read_bytes(), description="x.pem")


def test_a_signing_certificate_is_no_anchor(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is not a CA") as caught:
        parse_trust_anchors((folder / SIGNING_CHAIN_FILE).read_bytes(), description="x.pem")
    assert "root" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["C2PA-TRUST-LIST.pem", "C2PA-TSA-TRUST-LIST.pem"])
def test_the_official_lists_are_accepted(shared_c2pa: Path, name: str) -> None:
    anchors = load_trust_anchors([shared_c2pa / "trust-list" / name])
    assert len(x509.load_pem_x509_certificates(anchors.pem)) > 20
