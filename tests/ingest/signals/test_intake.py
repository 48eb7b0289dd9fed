"""What files say of themselves: XMP in boxes, tags of the container, sidecars."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.errors import MediaError
from ingest.signals import boxes
from ingest.signals.combine import combine
from ingest.signals.intake import read_file_signals, sidecars_of
from ingest.signals.record import Source
from ingest.signals.xmp import packet_signals
from tests.ingest.signals.films import XMP_UUID, append_box, append_to_movie, box, with_tags, write_film
from tests.ingest.signals.site import CORPUS
from tests.media import truncate_file

_PROHIBITED = (CORPUS / "xmp" / "dmi_prohibited.xmp").read_bytes()
_GEN_PROHIBITED = (CORPUS / "xmp" / "dmi_prohibited_genaimltraining.xmp").read_bytes()
_ALLOWED = (CORPUS / "xmp" / "dmi_allowed.xmp").read_bytes()


@pytest.fixture(scope="module")
def plain_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "plain.mp4")


@pytest.fixture
def film(plain_film: Path, tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(plain_film.read_bytes())
    return path


def _together(path: Path, action: SignalAction = SignalAction.TRAIN_GEN) -> SignalValue:
    return combine(read_file_signals(path))[action]


def test_a_film_without_metadata_says_nothing(film: Path) -> None:
    assert read_file_signals(film) == []


def test_a_uuid_box_is_read(film: Path) -> None:
    append_box(film, b"uuid", XMP_UUID + _PROHIBITED)
    (signal,) = read_file_signals(film)
    assert (signal.protocol, signal.carrier, signal.validity) == (
        "plus",
        "MP4 uuid box",
        SignalValidity.VALID,
    )
    assert set(signal.actions.values()) == {SignalValue.DENY}
    assert signal.raw == _PROHIBITED


def test_a_uuid_box_with_a_large_size_is_read(film: Path) -> None:
    content = XMP_UUID + _PROHIBITED
    large = (1).to_bytes(4, "big") + b"uuid" + (len(content) + 16).to_bytes(8, "big") + content
    film.write_bytes(film.read_bytes() + large)
    assert _together(film) is SignalValue.DENY


def test_a_last_box_that_runs_to_the_end_is_read(film: Path) -> None:
    film.write_bytes(film.read_bytes() + bytes(4) + b"uuid" + XMP_UUID + _PROHIBITED)
    assert _together(film) is SignalValue.DENY


def test_other_uuid_boxes_say_nothing(film: Path) -> None:
    assert read_file_signals(append_box(film, b"uuid", bytes(range(16)) + _PROHIBITED)) == []


def test_user_data_of_quicktime_is_read(film: Path) -> None:
    append_to_movie(film, b"udta", box(b"XMP_", _GEN_PROHIBITED) + bytes(4))
    (signal,) = read_file_signals(film)
    assert signal.carrier == "udta XMP_"
    assert _together(film, SignalAction.TRAIN_NONGEN) is SignalValue.UNKNOWN
    assert _together(film) is SignalValue.DENY


def test_an_allow_beside_a_denial_lifts_nothing(film: Path) -> None:
    append_box(film, b"uuid", XMP_UUID + _PROHIBITED)
    append_box(film, b"uuid", XMP_UUID + _ALLOWED)
    signals = read_file_signals(film)
    assert [signal.carrier for signal in signals] == ["MP4 uuid box", "MP4 uuid box (2)"]
    assert set(combine(signals).values()) == {SignalValue.DENY}


def test_broken_xmp_in_a_film_is_conditional(film: Path) -> None:
    append_box(film, b"uuid", XMP_UUID + _ALLOWED[:200])
    (signal,) = read_file_signals(film)
    assert signal.validity is SignalValidity.INVALID
    assert set(signal.actions.values()) == {SignalValue.CONDITIONAL}


def test_a_box_that_is_cut_short_is_conditional(film: Path) -> None:
    append_box(film, b"uuid", XMP_UUID + _PROHIBITED)
    film.write_bytes(film.read_bytes()[:-10])
    assert {signal.protocol for signal in read_file_signals(film)} >= {"media", "plus"}
    assert _together(film, SignalAction.SEARCH) is SignalValue.CONDITIONAL


def test_a_size_that_cannot_be_ends_the_walk_aloud(film: Path) -> None:
    film.write_bytes(
        film.read_bytes() + (5).to_bytes(4, "big") + b"free" + box(b"uuid", XMP_UUID + _PROHIBITED)
    )
    assert "size that cannot be" in read_file_signals(film)[0].detail
    assert _together(film) is SignalValue.CONDITIONAL


def test_zeros_at_the_end_are_padding(film: Path) -> None:
    film.write_bytes(film.read_bytes() + bytes(1000))
    assert read_file_signals(film) == []


def test_more_boxes_than_the_limit_are_said(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "MAX_BOXES", 50)
    film.write_bytes(film.read_bytes() + box(b"free", b"") * 60 + box(b"uuid", XMP_UUID + _PROHIBITED))
    assert _together(film) is SignalValue.CONDITIONAL


def test_boxes_nested_without_end_are_not_followed(film: Path) -> None:
    inner = box(b"XMP_", _PROHIBITED)
    for _ in range(5000):
        inner = box(b"udta", inner)
    film.write_bytes(film.read_bytes() + inner)
    assert [signal for signal in read_file_signals(film) if signal.protocol == "plus"] == []


def test_an_enormous_packet_is_not_read(film: Path) -> None:
    append_box(film, b"uuid", XMP_UUID + _PROHIBITED + b" " * (5 << 20))
    (signal,) = read_file_signals(film)
    assert "bytes" in signal.detail
    assert _together(film) is SignalValue.CONDITIONAL


def test_a_packet_of_a_million_elements_is_not_looked_through(film: Path) -> None:
    """Each property that is looked for goes through all of them: one such sidecar took ten seconds."""
    film.with_suffix(".xmp").write_bytes(b"<a>" + b"<b/>" * 100_000 + b"</a>")
    (signal,) = read_file_signals(film)
    assert "more than 100000 elements" in signal.detail
    assert set(signal.actions.values()) == {SignalValue.CONDITIONAL}


def test_metadata_keys_of_quicktime_are_read(film: Path, tmp_path: Path) -> None:
    tags = {"plus:DataMining": "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"}
    tagged = with_tags(film, tmp_path / "tagged.mov", tags, movflags="use_metadata_tags")
    (signal,) = read_file_signals(tagged)
    assert signal.carrier == "container tag 'plus:DataMining'"
    assert _together(tagged) is SignalValue.DENY
    assert _together(tagged, SignalAction.SEARCH) is SignalValue.UNKNOWN


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_words_about_ai_in_a_comment_are_for_a_person(film: Path, tmp_path: Path, suffix: str) -> None:
    tags = {"comment": "© North Light — NOT for AI!", "title": "Machine learning, a film"}
    tagged = with_tags(film, tmp_path / f"tagged{suffix}", tags)
    (signal,) = read_file_signals(tagged)
    assert signal.protocol == "free_text"
    assert "comment" in signal.carrier.lower()
    assert _together(tagged) is SignalValue.CONDITIONAL


def test_a_copyright_notice_says_nothing_about_ai(film: Path, tmp_path: Path) -> None:
    tagged = with_tags(
        film, tmp_path / "tagged.mp4", {"copyright": "© 2025 Airs & Graces. All rights reserved"}
    )
    assert read_file_signals(tagged) == []


def test_tags_of_matroska_are_read(film: Path, tmp_path: Path) -> None:
    tags = {"DATA_MINING": "DMI-PROHIBITED", "TDM_RESERVATION": "1"}
    signals = read_file_signals(with_tags(film, tmp_path / "tagged.mkv", tags))
    assert {signal.protocol for signal in signals} == {"plus", "tdmrep"}
    assert all(value is SignalValue.DENY for signal in signals for value in signal.actions.values())


def test_both_sidecars_count(film: Path) -> None:
    film.with_name("clip.xmp").write_bytes(_ALLOWED)
    film.with_name("clip.mp4.xmp").write_bytes(_GEN_PROHIBITED)
    signals = read_file_signals(film)
    assert [signal.carrier for signal in signals] == ["sidecar", "sidecar (2)"]
    assert _together(film) is SignalValue.DENY
    assert _together(film, SignalAction.SEARCH) is SignalValue.ALLOW


def test_a_sidecar_in_capitals_counts_once(film: Path) -> None:
    film.with_name("clip.XMP").write_bytes(_PROHIBITED)
    film.with_name("clip.xmp").hardlink_to(film.with_name("clip.XMP"))
    assert len(sidecars_of(film)) == 1
    assert _together(film) is SignalValue.DENY


@pytest.mark.parametrize("name", ["clip.Xmp", "clip.mp4.xMP", "clip.mp4.XmP"])
def test_a_sidecar_counts_however_its_ending_is_written(film: Path, name: str) -> None:
    """`clip.Xmp` was not looked for, and its reservation not seen."""
    film.with_name(name).write_bytes(_PROHIBITED)
    assert [path.name for path in sidecars_of(film)] == [name]
    assert _together(film) is SignalValue.DENY


def test_a_sidecar_of_another_film_does_not_count(film: Path) -> None:
    film.with_name("clip2.xmp").write_bytes(_PROHIBITED)
    assert read_file_signals(film) == []


def test_a_film_that_cannot_be_decoded_is_conditional(film: Path) -> None:
    truncate_file(film, 0.5)
    assert _together(film) is SignalValue.CONDITIONAL


def test_a_file_that_is_no_film_is_conditional(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("shopping list", encoding="utf-8")
    assert _together(path) is SignalValue.CONDITIONAL


@pytest.mark.parametrize("name", ["gone.mp4", "gone.xmp"])
def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match=name):
        read_file_signals(tmp_path / name)


@given(st.binary(max_size=64), st.integers(0, 400), st.integers(0, 1 << 32))
def test_any_boxes_and_packets_are_read_without_an_exception(noise: bytes, at: int, size: int) -> None:
    film = bytearray(box(b"ftyp", b"isom") + box(b"moov", box(b"udta", box(b"XMP_", _PROHIBITED))))
    film[at : at + len(noise)] = noise
    film += size.to_bytes(5, "big")[1:] + b"uuid" + XMP_UUID + noise
    for found in boxes.find_packets(io.BytesIO(film)):
        if isinstance(found, boxes.Packet):
            packet_signals(Source(carrier=found.carrier, raw=found.raw))


def test_real_films_can_be_read(shared_footage: Path) -> None:
    """Silence or a signal, but never a structure that cannot be followed."""
    films = sorted(
        path for path in shared_footage.iterdir() if path.suffix in {".mp4", ".webm", ".mkv", ".3gp", ".mpg"}
    )
    for path in films:
        invalid = [each for each in read_file_signals(path) if each.validity is not SignalValidity.VALID]
        assert invalid == [], path
    assert films
