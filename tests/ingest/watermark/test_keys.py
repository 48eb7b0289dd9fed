from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.watermark.keys import WatermarkKey, load_watermark_key, new_key, write_watermark_key
from tests.ingest.watermark.marked import KEY, OTHER_KEY


def test_a_written_key_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "watermark.key"
    key = write_watermark_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_watermark_key(path) == key


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "watermark.key"
    key = write_watermark_key(path)
    with pytest.raises(ConfigError, match="exists already"):
        write_watermark_key(path)
    assert load_watermark_key(path) == key


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"ab" * 33, b"zz" * 32, b"\xff" * 64, b"a" * 1_000_000])
def test_what_is_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "watermark.key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"watermark\.key: not a watermark key"):
        load_watermark_key(path)


def test_a_missing_key_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.key: missing"):
        load_watermark_key(tmp_path / "absent.key")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_watermark_key(tmp_path)


def test_a_key_of_another_length_is_none() -> None:
    with pytest.raises(ConfigError, match="32 bytes, not 16"):
        WatermarkKey(secret=bytes(16))


def test_the_secret_is_not_shown() -> None:
    key = new_key()
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
    assert key.fingerprint not in key.secret.hex()
    assert key.fingerprint != new_key().fingerprint


def test_draws_differ_by_label_and_by_key() -> None:
    signs = KEY.signs("a", 4000)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    for other in (KEY.signs("b", 4000), OTHER_KEY.signs("a", 4000)):
        # Independent signs agree to within 5 deviations of nothing.
        assert abs(float(signs @ other)) < 5 * 4000**0.5
    assert sorted(KEY.order("a", 100)) == list(range(100))
    assert list(KEY.order("a", 100)) != list(KEY.order("b", 100))
