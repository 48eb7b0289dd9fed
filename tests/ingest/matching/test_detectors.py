from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from db.canonical import digest_of
from db.errors import ConfigError
from ingest.encoders.encoder import EncoderIdentity
from ingest.matching import detectors
from ingest.matching.alignment import ALIGNMENT_RULES
from ingest.matching.detectors import (
    CAUTIOUS_DETECTOR,
    RULES,
    STARTING_DETECTOR,
    calibration_path,
    detector_for,
    measurement_of,
    read_calibration,
    starting_detector,
    write_calibration,
)
from ingest.matching.geometry import GEOMETRY_RULES
from ingest.matching.judging import JUDGING_RULES
from ingest.matching.scoring import FEATURES, SCORING_RULES, Detector, Weights
from ingest.matching.timeline import TIMELINE_RULES
from ingest.matching.verification import VERIFICATION_RULES
from ingest.media.borders import FRAME_RULES
from ingest.pictures.views import VIEW_RULES

_LITE0 = EncoderIdentity("efficientnet-lite0-gem", "0" * 64, "p", 1280)
_CLIP = EncoderIdentity("open_clip:ViT-B-32", "0" * 64, "p", 512)
_MEASUREMENT: dict[str, Any] = {"num_copies": 312, "recall": {"crop_60": 0.97}, "footage": ["a" * 64]}
_AGAIN = "calibrate again, or delete the file to return to the detector that comes with the product"


def _calibrated(measurement: dict[str, Any] = _MEASUREMENT) -> Detector:
    return dataclasses.replace(
        STARTING_DETECTOR,
        name="calibrated",
        weights=Weights(intercept=-6.1, coefficients=tuple(number / 7 for number in range(len(FEATURES)))),
        min_probability=0.8125,
        calibration_sha256=digest_of(measurement),
    )


def _write(folder: Path) -> Path:
    path = calibration_path(_LITE0, folder)
    write_calibration(path, _calibrated(), _MEASUREMENT)
    return path


def _tamper(path: Path, *where: str, value: object) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    part = document
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = value
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(autouse=True)
def shipped(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Detector:
    """A calibration that comes with the product, for the embedded encoder of these tests."""
    measurement = {"encoder_digest": _LITE0.digest, "num_copies": 7}
    detector = dataclasses.replace(_calibrated(measurement), name="shipped")
    path = tmp_path_factory.mktemp("data") / "shipped.json"
    write_calibration(path, detector, measurement)
    monkeypatch.setattr(detectors, "_SHIPPED", path)
    return detector


def test_what_a_calibration_starts_from_belongs_to_an_encoder() -> None:
    assert starting_detector(_LITE0) == STARTING_DETECTOR
    assert starting_detector(_CLIP).name == "open_clip:ViT-B-32 (not calibrated)"
    assert starting_detector(_CLIP).min_similarity == CAUTIOUS_DETECTOR.min_similarity
    assert CAUTIOUS_DETECTOR.min_similarity > STARTING_DETECTOR.min_similarity
    assert len({starting_detector(_CLIP).digest, CAUTIOUS_DETECTOR.digest, STARTING_DETECTOR.digest}) == 3


def test_the_rules_name_every_module_that_decides() -> None:
    decide = {ALIGNMENT_RULES, GEOMETRY_RULES, VERIFICATION_RULES, TIMELINE_RULES, JUDGING_RULES}
    assert decide | {SCORING_RULES, FRAME_RULES, VIEW_RULES} == set(RULES.split())
    assert STARTING_DETECTOR.rules == CAUTIOUS_DETECTOR.rules == RULES


def test_without_a_calibration_the_one_we_ship_serves_its_encoder(tmp_path: Path, shipped: Detector) -> None:
    assert detector_for(_LITE0, tmp_path / "none yet") == shipped
    assert detector_for(_CLIP, tmp_path / "none yet") == starting_detector(_CLIP)
    retrained = dataclasses.replace(_LITE0, weights_sha256="1" * 64)
    assert detector_for(retrained, tmp_path) == starting_detector(retrained)


def test_the_measurement_behind_a_detector_is_found(tmp_path: Path, shipped: Detector) -> None:
    _write(tmp_path)
    assert measurement_of(_calibrated().digest, tmp_path) == _MEASUREMENT
    assert measurement_of(shipped.digest, tmp_path) == {"encoder_digest": _LITE0.digest, "num_copies": 7}
    assert measurement_of(STARTING_DETECTOR.digest, tmp_path) is None


def test_a_calibrated_detector_comes_back_with_its_measurement(tmp_path: Path) -> None:
    path = _write(tmp_path)
    detector, measurement = read_calibration(path)
    assert detector == _calibrated()
    assert detector.digest == _calibrated().digest
    assert measurement == _MEASUREMENT
    assert detector_for(_LITE0, tmp_path) == _calibrated()


def test_a_calibration_serves_its_own_encoder_alone(tmp_path: Path) -> None:
    _write(tmp_path)
    assert detector_for(_CLIP, tmp_path) == starting_detector(_CLIP)
    retrained = dataclasses.replace(_LITE0, weights_sha256="1" * 64)
    assert detector_for(retrained, tmp_path) == starting_detector(retrained)


def test_writing_again_replaces_it(tmp_path: Path) -> None:
    path = _write(tmp_path)
    first = path.read_bytes()
    _write(tmp_path)
    assert path.read_bytes() == first
    other = _MEASUREMENT | {"num_copies": 313}
    write_calibration(path, _calibrated(other), other)
    assert read_calibration(path)[1] == other
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("measurement", "num_copies"), 3120),
        (("measurement", "recall", "crop_60"), 0.99),
        (("detector", "calibration_sha256"), "f" * 64),
        (("detector", "calibration_sha256"), None),
        (("detector", "weights", "coefficients"), [1.0]),
    ],
)
def test_a_calibration_that_was_changed_is_refused(
    tmp_path: Path, where: tuple[str, ...], value: object
) -> None:
    path = _write(tmp_path)
    _tamper(path, *where, value=value)
    with pytest.raises(ConfigError, match=f"calibration {path.name} was changed after it was made") as raised:
        detector_for(_LITE0, tmp_path)
    assert raised.value.hint == _AGAIN


def test_a_calibration_under_other_rules_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path)
    _tamper(path, "detector", "rules", value="hough-1 affine-ncc-1")
    with pytest.raises(
        ConfigError, match=r"made under the rules hough-1 affine-ncc-1, now they are"
    ) as raised:
        detector_for(_LITE0, tmp_path)
    assert raised.value.hint == _AGAIN


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut short"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b'{"detector": {}}', id="nothing in it"),
        pytest.param(b'{"detector": {"weights": {"intercept": "x", "coefficients": []}}}', id="no number"),
        pytest.param(b'{"detector": {"weights": {"intercept": 1, "coefficients": 2}}}', id="no list"),
    ],
)
def test_a_damaged_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = calibration_path(_LITE0, tmp_path)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"calibration {path.name} cannot be read") as raised:
        detector_for(_LITE0, tmp_path)
    assert raised.value.hint == _AGAIN


@pytest.mark.parametrize("field", ["min_probability", "min_similarity", "rules"])
def test_a_calibration_without_a_threshold_is_refused(tmp_path: Path, field: str) -> None:
    path = _write(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["detector"][field]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        detector_for(_LITE0, tmp_path)
