"""The desk in a real browser: a title conflict settled by two people, with the keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.decisions import decisions_on_clip
from db.project import Project
from db.vocabularies import Outcome
from tests.governance.review.desk_maker import (
    POLICY,
    Visitor,
    clear,
    clip_named,
    make_desk,
    make_real_conflict,
    served,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).resolve().parents[3]


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


def open_desk(browser: Browser, visitor: Visitor, *, scheme: str = "light") -> Page:
    """Follow the link of a desk in a fresh profile; every mistake of the page becomes one of the test."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page failed: {error}"))
    page.goto(visitor.link)
    page.wait_for_selector("html[data-ready]")
    return page


def keep_screenshot(page: Page, name: str) -> None:
    """Keep what the page looks like, where somebody wants to see it."""
    if os.environ.get("CLEARTITLE_ARTIFACTS"):
        folder = _ROOT / ".artifacts" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")


def test_two_people_settle_a_title_conflict(browser: Browser, project: Project) -> None:
    """The owner's clip is approved and confirmed, the copy excluded; the next `clear` follows them."""
    settle(browser, project, "sea.mp4", "copy.mp4", POLICY)


def test_a_title_conflict_of_the_footage_is_found_and_settled(
    browser: Browser, shared_footage: Path, tmp_path: Path
) -> None:
    """The same with real footage, the product's own search for copies, and a policy that is shipped."""
    project = make_real_conflict(tmp_path, shared_footage)
    clear(project, "commercial-training")
    settle(browser, project, "mdn_flower.mp4", "mdn_flower.webm", "commercial-training")


def settle(browser: Browser, project: Project, owned: str, copied: str, policy: str) -> None:
    """Let Ann approve the owner's clip and exclude the copy, and Ben confirm the approval."""
    owner, copy = (clip_named(project, name, policy) for name in (owned, copied))
    with served(make_desk(project, "Ann", policy)) as visitor:
        page = open_desk(browser, visitor)
        assert "token" not in page.url
        page.keyboard.press("j")
        keep_screenshot(page, f"{policy}-queue")
        assert page.locator(".rows tbody tr").count() == 2
        page.get_by_role("link", name=owned).click()
        page.wait_for_selector("html[data-ready]")
        both_players_follow_one_another(page)
        keep_screenshot(page, f"{policy}-clip")
        page.keyboard.press("a")
        page.keyboard.type("The owner showed its negative; agreement 12.")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(".notices")
        page.goto(f"http://{visitor.host}/clips/{copy.clip.clip_id}")
        page.keyboard.press("e")
        page.keyboard.type("A copy; see the other side.")
        page.keyboard.press("Control+Enter")
        page.wait_for_url("**/queue**")
        page.goto(f"http://{visitor.host}/clips/{owner.clip.clip_id}")
        assert "the first decider cannot give the second approval" in page.content()
        page.context.close()
    clear(project, policy)
    assert outcome_of(project, owner.clip.id) is Outcome.HOLD

    with served(make_desk(project, "Ben", policy)) as visitor:
        page = open_desk(browser, visitor, scheme="dark")
        page.get_by_role("link", name="Second approval").click()
        page.get_by_role("link", name=owned).click()
        page.wait_for_selector("html[data-ready]")
        page.keyboard.press("c")
        page.keyboard.type("I saw agreement 12 as well.")
        keep_screenshot(page, f"{policy}-confirm-dark")
        page.keyboard.press("Control+Enter")
        page.wait_for_url("**/queue**")
        assert "confirmed review" in page.locator(".notices").inner_text()
        page.goto(f"http://{visitor.host}/reviews")
        keep_screenshot(page, f"{policy}-verdicts-dark")
        page.context.close()
    clear(project, policy)
    assert outcome_of(project, owner.clip.id) is Outcome.CLEARED
    assert outcome_of(project, copy.clip.id) is Outcome.EXCLUDED


def until(page: Page, condition: str) -> None:
    """Wait in the page itself: its content policy forbids what Playwright's own waiting for a function needs."""
    page.evaluate(
        """([condition]) => new Promise((resolve, reject) => {
          const begun = performance.now();
          const look = () => {
            if (CONDITION) resolve();
            else if (performance.now() - begun > 20000) reject(new Error(condition));
            else requestAnimationFrame(look);
          };
          look();
        })""".replace("CONDITION", condition),
        [condition],
    )


def both_players_follow_one_another(page: Page) -> None:
    """Both films load, run when Space is pressed, and stay together."""
    until(page, "[...document.querySelectorAll('video')].every((v) => v.readyState >= 2)")
    assert page.locator("video").count() == 2
    page.keyboard.press("Space")
    until(page, "document.querySelector('#near').currentTime > 0.4")
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('#near').paused && document.querySelector('#far').paused")
    times = page.evaluate("[...document.querySelectorAll('video')].map((v) => v.currentTime)")
    assert abs(times[0] - times[1]) < 0.5
    page.keyboard.press("0")
    until(page, "[...document.querySelectorAll('video')].every((v) => v.currentTime < 0.1)")
    until(page, "[...document.querySelectorAll('.strip img')].every((i) => i.naturalWidth > 0)")


def outcome_of(project: Project, clip_id: int) -> Outcome:
    with project.session() as session:
        return decisions_on_clip(session, clip_id)[0].ruling.outcome


def test_every_action_is_reached_with_tab_and_help_tells_the_keys(
    browser: Browser, conflict: Project
) -> None:
    with served(make_desk(conflict, "Cat")) as visitor:
        page = open_desk(browser, visitor)
        page.keyboard.press("?")
        assert page.locator("dialog[open]").is_visible()
        keep_screenshot(page, "help")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        seen = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            seen.add(
                page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")
            )
        assert {"clip", "verdict", "reason", "Record", "End session"} <= seen
        page.context.close()


def test_a_spent_link_opens_nothing_in_another_browser(browser: Browser, conflict: Project) -> None:
    with served(make_desk(conflict, "Dan")) as visitor:
        page = open_desk(browser, visitor)
        thief = browser.new_context().new_page()
        thief.goto(visitor.link)
        assert "used already" in thief.content()
        keep_screenshot(thief, "spent-link")
        page.get_by_role("button", name="End session").click()
        page.goto(page.url.partition("/leave")[0] + "/queue")
        assert "no session" in page.content()
