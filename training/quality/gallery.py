"""The gallery: the cards of many clips as one page that needs nothing else, with previews and a table that sorts.

The page carries its style, its script and its pictures. A content security policy allows exactly that style and that
script, by digest, and pictures from the page itself; nothing is fetched. Foreign text is made visible and escaped.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import ConfigError
from db.files import durable_file
from db.terminal import clock_text, safe_text
from governance.version import VERSION
from ingest.errors import MediaError
from ingest.media.digests import file_digest
from ingest.media.sources import printable_path
from training.quality import definitions as d
from training.quality.card import SUFFIX, QualityCard, clip_path, read_card
from training.quality.definitions import CLIP_DEFINITIONS
from training.quality.previews import preview_of
from training.quality.upkeep import KeptCard

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_PREVIEWS = 300
"""About 30 kilobytes each: a page of 10 megabytes still opens on a phone."""
_SHORT_TITLES = {
    d.TEMPORAL_FLICKER: "Flicker", d.WARPING_ERROR: "Warping", d.UNMATCHED_SHARE: "Unmatched",
    d.FRAME_STABILITY: "Stability", d.MOTION_SMOOTHNESS: "Smoothness", d.PACE_UNEVENNESS: "Pace",
    d.FROZEN_SHARE: "Frozen", d.DYNAMIC_DEGREE: "Motion", d.SUBJECT_CONSISTENCY: "Subject",
    d.BACKGROUND_CONSISTENCY: "Background",
}  # fmt: skip
_DOING_WELL = {"higher": "higher is better", "lower": "lower is better", "neither": "neither way is better"}


def write_gallery(folder: Path, destination: Path) -> int:
    """Write the page of every card in `folder` and below, and return how many there are.

    A card whose clip is gone or has changed is shown as such.
    Raises `ConfigError` if there is no card or `destination` is no `.html`, `NotMeasurable` for a card that is not one.
    """
    cards = sorted(path for path in folder.rglob(f"*{SUFFIX}") if not path.name.startswith("."))
    if not cards:
        raise ConfigError(
            f"{printable_path(folder)}: there is no quality card in it",
            hint=f"cleartitle quality {printable_path(folder)}",
        )
    kept = [KeptCard(clip=clip_path(path), card=read_card(path), is_new=False) for path in cards]
    write_gallery_of(kept, destination, title=printable_path(folder.resolve().name or folder))
    return len(kept)


def write_gallery_of(kept: Sequence[KeptCard], destination: Path, *, title: str) -> None:
    """Write the page of these cards. Raises `ConfigError` if `destination` is no `.html`."""
    check_page(destination)
    from markupsafe import Markup

    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("gallery.css", "gallery.js"))
    page = _environment().get_template("gallery.html").stream(
        title=title,
        version=VERSION,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 (ours, and checked by its digest)
        script=Markup(script),  # noqa: S704
        definitions=[(_SHORT_TITLES[item], item, _DOING_WELL[item.better.value]) for item in CLIP_DEFINITIONS],
        num_clips=len(kept),
        seconds=sum(item.card.facts.duration_seconds for item in kept),
        concerns=_concern_counts(item.card for item in kept),
        clips=_clips(kept),
        max_previews=MAX_PREVIEWS,
    )  # fmt: skip
    with durable_file(destination) as staged, staged.open("w", encoding="utf-8") as file:
        file.writelines(page)


def check_page(destination: Path) -> None:
    """Raise `ConfigError` if a gallery cannot be called so."""
    if destination.suffix.lower() != ".html":
        raise ConfigError(
            f"{printable_path(destination)}: a gallery is a page", hint="name the file gallery.html"
        )


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    """Return the policy's name of exactly this text (Content Security Policy Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


@functools.cache
def _environment() -> Environment:
    """Return the templates. What is printed is first made visible, and then escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def visible(value: Any) -> Any:
        return safe_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("training.quality", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock_text}
    return environment


def _concern_counts(cards: Iterable[QualityCard]) -> list[tuple[str, int]]:
    """Return each concern and for how many clips something is known of it."""
    counts: dict[str, int] = {}
    for card in cards:
        for concern in card.concerns:
            counts[concern.name] = counts.get(concern.name, 0) + concern.is_measured
    return list(counts.items())


def _clips(kept: Sequence[KeptCard]) -> Iterable[dict[str, Any]]:
    for number, item in enumerate(kept):
        card, state = item.card, _state(item)
        screen = None if card.screen is None else json.dumps(card.screen, indent=1, sort_keys=True)
        yield {
            "name": card.facts.file_name,
            "card": card,
            "state": state,
            "preview": _preview(item.clip) if number < MAX_PREVIEWS and not state else None,
            "facts": _facts(card),
            "measures": [(definition, card.measure(definition.name)) for definition in CLIP_DEFINITIONS],
            "screen": screen,
        }


def _state(item: KeptCard) -> str:
    """Return what is wrong between the card and its clip; empty if nothing is."""
    if not item.clip.is_file():
        return "the clip is not there any more"
    if file_digest(item.clip).sha256 != item.card.facts.sha256:
        return "the clip has changed since it was measured"
    return ""


def _preview(clip: Path) -> Any:
    try:
        return preview_of(clip)
    except MediaError:
        return None  # its beginning is damaged: the page says that there is no picture


def _facts(card: QualityCard) -> str:
    facts = card.facts
    cadence = ", at a varying rate" if facts.is_variable_frame_rate.value == "yes" else ""
    return (
        f"{facts.width} × {facts.height}, {facts.num_frames} frames in {clock_text(facts.duration_seconds)} "
        f"({facts.frame_rate:.3g} a second{cadence}), {facts.video_codec}, {facts.bitrate_bps / 1000:,.0f} kbit/s, "
        f"{'with' if facts.has_audio else 'without'} sound"
    )
