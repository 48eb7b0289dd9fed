"""The gallery: one page that needs nothing else and believes nothing it is told."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.errors import ConfigError
from tests.media import truncate_file
from tests.training.quality import films
from training.quality.card import QualityCard, card_path, write_card
from training.quality.errors import NotMeasurable
from training.quality.gallery import write_gallery
from training.quality.measuring import measure_quality
from training.quality.previews import preview_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e\x1b[31m"


class Page(HTMLParser):
    """Takes a page apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep each tag."""
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clip: Path, card: QualityCard) -> Path:
    """A folder of three clips with cards; one clip is gone, one has changed since."""
    folder = tmp_path_factory.mktemp("gallery")
    shutil.copy(clip, folder / "clip.mp4")
    write_card(card, folder / "clip.quality.json")
    gone = films.write_film(folder / "gone.mp4", films.frozen(films.film(6)))
    write_card(
        measure_quality(gone, encoder=None, screen={"outcome": "passed", "note": _HOSTILE}), card_path(gone)
    )
    gone.unlink()
    changed = films.write_film(folder / "changed.webm", films.film(6), codec="libvpx")
    write_card(measure_quality(changed, encoder=None), card_path(changed))
    with changed.open("ab") as file:
        file.write(b"more")
    return folder


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery of `folder`."""
    path = tmp_path_factory.mktemp("page") / "gallery.html"
    assert write_gallery(folder, path) == 3
    return path


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    taken = Page(text)
    for tag, attributes in taken.tags:
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    policy = next(
        attributes["content"] or ""
        for tag, attributes in taken.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_what_others_wrote_is_made_visible_and_escaped(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert [tag for tag, _ in Page(text).tags].count("script") == 1
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_clips_that_are_gone_or_have_changed_are_shown_as_such(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("the clip is not there any more") == 1
    assert text.count("the clip has changed since it was measured") == 1
    pictures = [attributes["src"] or "" for tag, attributes in Page(text).tags if tag == "img"]
    assert len(pictures) == 1
    assert pictures[0].startswith("data:image/webp;base64,")


def test_every_concern_is_on_the_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in ("Physics", "Control", "Uncanny people"):
        assert re.search(rf"<b>{name}</b><span>not measured</span>", text)
    assert "<b>Copyright</b><span>measured for 1 of 3</span>" in text


def test_a_preview_moves_and_stays_small(clip: Path) -> None:
    import io

    from PIL import Image

    preview = preview_of(clip)
    moving = base64.b64decode(preview.moving.partition(",")[2])
    with Image.open(io.BytesIO(moving)) as picture:
        assert getattr(picture, "n_frames", 1) == 6  # of one second
        assert picture.size == (160, 120)
    with Image.open(io.BytesIO(base64.b64decode(preview.still.partition(",")[2]))) as picture:
        assert getattr(picture, "n_frames", 1) == 1
    assert len(moving) < 60_000


def test_a_folder_without_cards_is_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no quality card") as refusal:
        write_gallery(tmp_path, tmp_path / "gallery.html")
    assert refusal.value.hint == f"cleartitle quality {tmp_path}"


def test_a_gallery_is_a_page(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gallery\.pdf"):
        write_gallery(folder, tmp_path / "gallery.pdf")


def test_a_broken_card_leaves_the_old_page(folder: Path, page: Path, tmp_path: Path) -> None:
    own = tmp_path / "folder"
    shutil.copytree(folder, own)
    truncate_file(own / "clip.quality.json", 0.5)
    old = Path(shutil.copy(page, tmp_path / "gallery.html"))
    before = old.read_bytes()
    with pytest.raises(NotMeasurable):
        write_gallery(own, old)
    assert old.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "gallery.html"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of this system, without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium on this system")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_the_table_sorts_and_fits_in_a_browser(browser: Browser, page: Path, width: int) -> None:
    """Its own policy lets its style and its script work; nothing is fetched; a phone need not scroll sideways."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    opened = context.new_page()
    said: list[str] = []
    fetched: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: fetched.append(request.url))
    opened.goto(page.as_uri())

    def names() -> list[str]:
        return opened.locator("#clips .name").all_text_contents()

    assert names() == ["changed.webm", "clip.mp4", "gone.mp4"]
    if width == 1280:
        opened.click("button[data-key=dynamic_degree]")
    else:
        opened.select_option("#sort", "dynamic_degree")
    assert names()[0] == "gone.mp4"  # it is frozen
    if width == 1280:
        opened.click("button[data-key=dynamic_degree]")
        assert opened.locator("th[aria-sort=descending]").count() == 1
    else:
        opened.click("#turn")
    assert names()[-1] == "gone.mp4"
    opened.locator("summary").first.click()
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert said == []
    assert [url for url in fetched if not url.startswith("data:")] == [page.as_uri()]
    context.close()
