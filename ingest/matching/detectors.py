"""Detectors: which one serves a project, and how a calibrated one is kept.

A detector belongs to one encoder. `cleartitle calibrate` measures one on the user's own footage and keeps it beside the
vectors; until then the one that was measured by us serves, or, for an encoder we could not measure, a cautious one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from db.canonical import digest_of
from db.errors import ConfigError
from db.files import write_durably
from ingest.encoders.encoder import EncoderIdentity
from ingest.matching.alignment import ALIGNMENT_RULES
from ingest.matching.geometry import GEOMETRY_RULES
from ingest.matching.judging import JUDGING_RULES
from ingest.matching.scoring import FEATURES, SCORING_RULES, Detector, Weights
from ingest.matching.timeline import TIMELINE_RULES
from ingest.matching.verification import VERIFICATION_RULES
from ingest.media.borders import FRAME_RULES
from ingest.pictures.views import VIEW_RULES

RULES = (
    f"{FRAME_RULES} {VIEW_RULES} {ALIGNMENT_RULES} {GEOMETRY_RULES} {VERIFICATION_RULES} {TIMELINE_RULES} "
    f"{JUDGING_RULES} {SCORING_RULES}"
)
"""Everything that a calibration rests on beside the encoder: from how frames are cut to how evidence is weighed."""

_SHIPPED = Path(__file__).parents[1] / "data" / "lite0_calibration.json"

STARTING_DETECTOR = Detector(
    name="efficientnet-lite0-gem",
    min_similarity=0.40,
    min_samples=3,
    max_failures=4,
    weights=Weights(intercept=-11.0, coefficients=(2.0, 0.3, 0.5, 0.4, 2.0, 2.0, 2.0, 0.5, 5.0, 1.0, 2.0)),
    min_probability=0.9,
    min_candidate=0.3,
    rules=RULES,
    calibration_sha256=None,
)
"""What a calibration of the embedded default starts from: weights by common sense, measured by nobody."""

CAUTIOUS_DETECTOR = replace(
    STARTING_DETECTOR,
    name="not calibrated",
    # CLIP rates pictures of one kind of scene at 0.6 to 0.9; copies mostly lie above. Nothing here was measured.
    min_similarity=0.80,
)


def starting_detector(identity: EncoderIdentity) -> Detector:
    """Return what a calibration for an encoder starts from."""
    is_default = identity.name == STARTING_DETECTOR.name
    return (
        STARTING_DETECTOR
        if is_default
        else replace(CAUTIOUS_DETECTOR, name=f"{identity.name} (not calibrated)")
    )


def detector_for(identity: EncoderIdentity, folder: Path) -> Detector:
    """Return the detector that was calibrated for an encoder and kept in `folder`, or else the one we ship.

    Raises `ConfigError` if the calibration is damaged or was made under other rules of detection.
    """
    path = calibration_path(identity, folder)
    if path.is_file():
        return read_calibration(path)[0]
    detector, measurement = read_calibration(_SHIPPED)
    return detector if measurement["encoder_digest"] == identity.digest else starting_detector(identity)


def measurement_of(detector_digest: str, folder: Path) -> dict[str, Any] | None:
    """Return the measurement behind a detector, kept in `folder` or shipped; None: nobody measured it."""
    for path in (*sorted(folder.glob("*.json")), _SHIPPED):
        # One that is damaged or out of date is not the one that served.
        with suppress(ConfigError):
            detector, measurement = read_calibration(path)
            if detector.digest == detector_digest:
                return measurement
    return None


def calibration_path(identity: EncoderIdentity, folder: Path) -> Path:
    """Return where the calibration for an encoder lies or would lie."""
    return folder / f"{identity.digest[:16]}.json"


def read_calibration(path: Path) -> tuple[Detector, dict[str, Any]]:
    """Read a calibrated detector and the measurement that it comes from.

    Raises `ConfigError` as `detector_for` does.
    """
    again = "calibrate again, or delete the file to return to the detector that comes with the product"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fields = document["detector"]
        weights = Weights(
            intercept=float(fields["weights"]["intercept"]),
            coefficients=tuple(float(value) for value in fields["weights"]["coefficients"]),
        )
        detector = Detector(**{**fields, "weights": weights})
        measurement: dict[str, Any] = document["measurement"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"calibration {path.name} cannot be read: {exc}", hint=again) from exc
    if detector.rules != RULES:
        raise ConfigError(
            f"calibration {path.name} was made under the rules {detector.rules}, now they are {RULES}",
            hint=again,
        )
    is_sealed = document.get("sha256") == _seal(detector, measurement)
    if not is_sealed or digest_of(measurement) != detector.calibration_sha256:
        raise ConfigError(f"calibration {path.name} was changed after it was made", hint=again)
    if len(weights.coefficients) != len(FEATURES):
        raise ConfigError(f"calibration {path.name} weighs other evidence than there is", hint=again)
    return detector, measurement


def write_calibration(path: Path, detector: Detector, measurement: dict[str, Any]) -> None:
    """Keep a calibrated detector durably."""
    document = {
        "detector": asdict(detector),
        "measurement": measurement,
        "sha256": _seal(detector, measurement),
    }
    write_durably(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())


def _seal(detector: Detector, measurement: dict[str, Any]) -> str:
    """Return a digest over the whole file: an edited weight or threshold is seen, if not who edited it."""
    return digest_of({"detector": asdict(detector), "measurement": measurement})
