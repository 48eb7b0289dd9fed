"""What the three signed artefacts state, as frozen records that check themselves.

A snapshot states what it froze, a model what it was trained on, a clip which model made it. Licences are
aggregated: a clip travels to anybody, so no rights holder is named, and no prompt is quoted in what it
carries unless whoever publishes it asks for that.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import re
from dataclasses import dataclass, field
from fractions import Fraction

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MARK_ID = re.compile(r"[0-9a-f]{16}")
_LABEL = re.compile(r"[a-z][a-z0-9-]*")
_LET_THROUGH = frozenset({"held", "not-comparable"})
"""What is signed only after a person looked at it."""
_JPEG_START = b"\xff\xd8\xff"
_ROUNDING_SECONDS = 1e-3


class HumanOversight(enum.StrEnum):
    """How far people had a hand in an output, in the words of the AI disclosure of C2PA 2.4, section 18.28."""

    FULLY_AUTONOMOUS = "fully_autonomous"
    PROMPT_GUIDED = "prompt_guided"
    """Somebody wrote the prompt, nobody approved the result."""
    HUMAN_VALIDATED = "human_validated"
    """A person approved the result."""


class ComponentStatus(enum.StrEnum):
    """What is known of the training data of a model that another one was made with."""

    CLEARED = "cleared"
    """Its own credentials lead to cleared data. They have to be there."""
    LICENSED_CLAIMED = "licensed-claimed"
    """Whoever made it says that the data was licensed; nothing proves it."""
    DISCLOSED_UNCLEARED = "disclosed-uncleared"
    """It is known what the data was, and that it was not cleared."""
    UNDISCLOSED = "undisclosed"
    """Nobody says what the data was."""


@dataclass(frozen=True, kw_only=True)
class LicenseShare:
    """How much of a snapshot stands under one licence expression."""

    license_expression: str
    num_clips: int
    duration_seconds: float

    def __post_init__(self) -> None:
        """Refuse an empty share."""
        _require(self.num_clips > 0, "num_clips", self.num_clips, "at least one")
        _require(self.duration_seconds >= 0, "duration_seconds", self.duration_seconds, "no negative time")


@dataclass(frozen=True, kw_only=True)
class SnapshotStatement:
    """A sealed dataset snapshot. Times are aware; `expires_at` is the earliest expiry that it relies on."""

    name: str
    snapshot_urn: str
    merkle_root: str
    num_assets: int
    num_clips: int
    duration_seconds: float
    policy_name: str
    policy_version: str
    policy_digest: str
    purpose: str
    sealed_at: dt.datetime
    expires_at: dt.datetime | None
    licenses: tuple[LicenseShare, ...]
    document_sha256: str | None = None
    is_promotable: bool = True
    """What is made with it may become a commercial release. Credentials say so only where it may not."""

    def __post_init__(self) -> None:
        """Refuse malformed digests, naive times, and shares that do not add up to the number of clips."""
        _require_digest("merkle_root", self.merkle_root)
        _require_digest("policy_digest", self.policy_digest)
        if self.document_sha256 is not None:
            _require_digest("document_sha256", self.document_sha256)
        _require_aware("sealed_at", self.sealed_at)
        if self.expires_at is not None:
            _require_aware("expires_at", self.expires_at)
        _require(self.num_assets > 0, "num_assets", self.num_assets, "at least one")
        shares = sum(share.num_clips for share in self.licenses)
        _require(self.num_clips > 0, "num_clips", self.num_clips, "at least one")
        _require(shares == self.num_clips, "licenses", shares, f"shares of {self.num_clips} clips in all")
        seconds = sum(share.duration_seconds for share in self.licenses)
        is_whole = abs(seconds - self.duration_seconds) <= _ROUNDING_SECONDS * len(self.licenses)
        _require(is_whole, "licenses", seconds, f"shares of {self.duration_seconds} s in all")


@dataclass(frozen=True, kw_only=True)
class ComponentStatement:
    """A model that went into the making of another one: its base, a captioner, an encoder, an autoencoder."""

    role: str
    """What it is for, and its label among the ingredients: one word in lower case, such as `captioner`."""
    name: str
    version: str
    status: ComponentStatus
    sha256: str | None = None
    """Of its weights, if they were at hand."""
    license_expression: str | None = None
    """Of the weights themselves, as their maker states it."""
    has_manifest: bool = False
    """It goes in with its own manifest, as the signed ingredient whose label is the role."""
    remark: str | None = None
    """What is to be said beside it, in a sentence."""

    def __post_init__(self) -> None:
        """Refuse malformed digests, roles that are no label, and clearance that nothing proves."""
        _require(_LABEL.fullmatch(self.role) is not None, "role", repr(self.role), "a word in lower case")
        if self.sha256 is not None:
            _require_digest("sha256", self.sha256)
        is_proven = self.has_manifest or self.status is not ComponentStatus.CLEARED
        _require(
            is_proven, f"status of {self.role}", self.status, "something less without a manifest of its own"
        )


@dataclass(frozen=True, kw_only=True)
class ModelStatement:
    """Trained weights and the snapshot they come from."""

    name: str
    model_urn: str
    version: str
    architecture: str
    weights_sha256: str
    run_id: str
    num_parameters: int
    num_steps: int
    trained_at: dt.datetime
    snapshot_urn: str
    snapshot_root: str
    is_promotable: bool = True
    """As of its snapshot."""
    components: tuple[ComponentStatement, ...] = ()
    """The models that it was made with; none: it learnt from the snapshot alone."""

    def __post_init__(self) -> None:
        """Refuse malformed digests, naive times and two components of one role."""
        _require_digest("weights_sha256", self.weights_sha256)
        _require_digest("snapshot_root", self.snapshot_root)
        _require_aware("trained_at", self.trained_at)
        roles = [component.role for component in self.components]
        _require(len(set(roles)) == len(roles), "components", roles, "one of each role")


@dataclass(frozen=True, kw_only=True)
class PromptStatement:
    """The prompt as an ingredient of its clip: by digest, and with its text only if that is asked for."""

    sha256: str
    text: str | None = None

    def __post_init__(self) -> None:
        """Refuse a malformed digest and a text that it is not the digest of."""
        _require_digest("sha256", self.sha256)
        if self.text is not None:
            found = hashlib.sha256(self.text.encode()).hexdigest()
            _require(found == self.sha256, "sha256 of the prompt", found, self.sha256)


@dataclass(frozen=True, kw_only=True)
class SnapshotReference:
    """Where the snapshot document of a clip lies, which it does not carry itself."""

    url: str
    """Relative to the clip, or absolute."""
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        """Refuse an empty address, a malformed digest and an empty document."""
        _require(bool(self.url.strip()), "url", repr(self.url), "an address")
        _require_digest("sha256", self.sha256)
        _require(self.size_bytes > 0, "size_bytes", self.size_bytes, "at least one")


@dataclass(frozen=True, kw_only=True)
class WatermarkStatement:
    """The invisible mark in a clip's pictures, by which its credentials are found again."""

    mark_id: str
    """64 bits in hex."""
    algorithm: str = "org.cleartitle.ss1"

    def __post_init__(self) -> None:
        """Refuse malformed ids and algorithms without a name space."""
        is_id = _MARK_ID.fullmatch(self.mark_id) is not None
        _require(is_id, "mark_id", repr(self.mark_id), "16 lower-case hex digits")
        _require(
            "." in self.algorithm, "algorithm", repr(self.algorithm), "a name with its owner's name space"
        )


@dataclass(frozen=True, kw_only=True)
class ComparedCollection:
    """Footage that a clip was compared with before it was signed."""

    name: str
    against: str
    """`training` or `reference`."""
    num_assets: int
    num_compared: int
    """At most `num_assets`: what could be compared."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        is_possible = 0 <= self.num_compared <= self.num_assets
        _require(is_possible, "num_compared", self.num_compared, f"at most {self.num_assets}")


@dataclass(frozen=True, kw_only=True)
class NearestStatement:
    """How like a clip is to the likest footage of a kind, whether it is shown or not."""

    kind: str
    """`training`, `held-out` or `reference`."""
    likeness: float
    """Of pictures by their embeddings, up to 1."""
    seconds: float
    """In the clip: the likest picture."""
    other_seconds: float
    """In the footage."""


@dataclass(frozen=True, kw_only=True)
class ScreenStatement:
    """What the replication screen found: whether a clip shows footage again that the model has seen."""

    outcome: str
    """`passed`; or `held` or `not-comparable` where a person let it through. What was refused is not signed."""
    detector_name: str
    detector_digest: str
    encoder_name: str
    encoder_digest: str
    min_probability: float
    """From which a match counts as a copy, by policy."""
    compared: tuple[ComparedCollection, ...]
    num_matches: int
    highest_probability: float | None
    """Of the surest match; `None`: there is none."""
    sha256: str | None = None
    """Of the file that was screened, before it was signed."""
    caveat: str | None = None
    """What the screen may miss, in a sentence."""
    nearest: tuple[NearestStatement, ...] = ()
    likeness_limit: float | None = None
    """From which likeness to training footage on a person decided; `None`: likeness decided nothing."""

    def __post_init__(self) -> None:
        """Refuse other outcomes, a comparison with nothing, and probabilities that are none."""
        is_known = self.outcome in {"passed", *_LET_THROUGH}
        _require(is_known, "outcome", repr(self.outcome), "'passed', 'held' or 'not-comparable'")
        num_compared = sum(part.num_compared for part in self.compared)
        is_compared = num_compared > 0 or self.outcome == "not-comparable"
        _require(is_compared, "compared", num_compared, "at least one asset")
        for probability in (self.min_probability, self.highest_probability):
            is_possible = probability is None or 0 <= probability <= 1
            _require(is_possible, "probability", probability, "0 to 1")
        has_highest = self.highest_probability is not None
        _require(
            has_highest == (self.num_matches > 0), "num_matches", self.num_matches, "a highest probability"
        )
        if self.sha256 is not None:
            _require_digest("sha256", self.sha256)


@dataclass(frozen=True, kw_only=True)
class SourceStatement:
    """A picture or a clip that a clip was made from: an ingredient of it, by digest."""

    use: str
    """`first-frame`, `continued` or `varied`."""
    sha256: str
    media_type: str
    strength_percent: int | None = None
    """How much of a varied clip was drawn anew."""
    has_manifest: bool = False
    """It goes in with its own manifest, as the signed ingredient `SOURCE_INGREDIENT`."""

    def __post_init__(self) -> None:
        """Refuse malformed digests and names, and a strength that is none."""
        _require_digest("sha256", self.sha256)
        _require(_LABEL.fullmatch(self.use) is not None, "use", repr(self.use), "a word in lower case")
        _require("/" in self.media_type, "media_type", repr(self.media_type), "a media type")
        strength = self.strength_percent
        _require(strength is None or 1 <= strength <= 100, "strength_percent", strength, "1 to 100")


@dataclass(frozen=True, kw_only=True)
class ClipStatement:
    """A generated clip. The digest of a prompt betrays one that can be guessed.

    What is `None` is not said. `thumbnail_jpeg`, and the text of the prompt, go in as resources: see
    `governance.manifests.manifest.clip_resources`.
    """

    title: str
    clip_urn: str
    generated_at: dt.datetime
    prompt_sha256: str
    seed: int
    num_steps: int
    width: int
    height: int
    frame_rate: Fraction
    num_frames: int
    model_name: str
    model_urn: str
    snapshot_urn: str
    snapshot_root: str
    is_promotable: bool = True
    """As of its snapshot."""
    is_loop: bool = False
    """After its last frame comes its first."""
    source: SourceStatement | None = None
    components: tuple[ComponentStatement, ...] = ()
    """The models that its model was made with, none of them signed: as its model says."""
    human_oversight: HumanOversight = HumanOversight.PROMPT_GUIDED
    prompt: PromptStatement | None = None
    snapshot_reference: SnapshotReference | None = None
    watermark: WatermarkStatement | None = None
    screen: ScreenStatement | None = None
    thumbnail_jpeg: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse malformed digests, naive times, another prompt, and a thumbnail that is no JPEG."""
        _require_digest("prompt_sha256", self.prompt_sha256)
        _require_digest("snapshot_root", self.snapshot_root)
        _require_aware("generated_at", self.generated_at)
        if self.prompt is not None:
            _require(
                self.prompt.sha256 == self.prompt_sha256, "prompt", self.prompt.sha256, self.prompt_sha256
            )
        if self.thumbnail_jpeg is not None:
            is_jpeg = self.thumbnail_jpeg.startswith(_JPEG_START)
            _require(is_jpeg, "thumbnail_jpeg", f"{self.thumbnail_jpeg[:4]!r}...", "a JPEG file")
        is_let_through = self.screen is None or self.screen.outcome not in _LET_THROUGH
        is_validated = self.human_oversight is HumanOversight.HUMAN_VALIDATED
        _require(
            is_let_through or is_validated,
            "human_oversight",
            self.human_oversight,
            "human_validated if a person let it through",
        )


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}, expected {expected}")


def _require_digest(name: str, value: str) -> None:
    _require(_SHA256.fullmatch(value) is not None, name, repr(value), "64 lower-case hex digits")


def _require_aware(name: str, value: dt.datetime) -> None:
    _require(value.tzinfo is not None, name, value, "a time with a time zone")
