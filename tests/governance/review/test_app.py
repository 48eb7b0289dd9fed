"""The desk over HTTP, as it is really served: who gets in, what is checked, and what is shown."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.routing import Route

from db.clock import utc_now
from db.files import path_of
from db.project import Project
from db.queries import asset_paths, find_asset
from db.reviews import change_marks
from db.vocabularies import Verdict
from governance.review.app import _Site
from governance.review.door import MAX_FAILURES, Caller, Door
from governance.review.passwords import read_password, write_password
from tests.governance.review.desk_maker import (
    Visitor,
    clear,
    clip_named,
    make_desk,
    record_match,
    served,
)
from tests.library import claim_rights, take_footage, write_footage


@pytest.fixture
def visitor(project: Project) -> Iterator[Visitor]:
    """Ann, who came in."""
    with served(make_desk(project, "Ann")) as visitor:
        visitor.enter()
        yield visitor


@pytest.fixture(scope="module")
def reader(conflict: Project) -> Iterator[Visitor]:
    """Ann, who came in and records nothing: one desk for all tests that only read, or are refused."""
    with served(make_desk(conflict, "Ann")) as visitor:
        visitor.enter()
        yield visitor


def num_reviews(project: Project) -> int:
    with project.session() as session:
        return change_marks(session)[1]


def test_a_link_works_once(project: Project) -> None:
    with served(make_desk(project, "Ann")) as visitor:
        entered = visitor.enter()
        assert (entered.status, entered.headers["location"]) == (303, "/queue")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        thief = Visitor(visitor.link)
        assert thief.enter().status == 403
        assert thief.get("/queue").status == 403
        assert visitor.get("/queue").status == 200


def test_nothing_is_told_without_a_session(conflict: Project, reader: Visitor) -> None:
    stranger = Visitor(reader.link)
    sha256 = clip_named(conflict, "sea.mp4").asset_sha256
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    pages = ("/", "/queue", "/reviews", f"/clips/{clip_id}", f"/media/{sha256}")
    pictures = (f"/clips/{clip_id}/thumbnail.jpg", f"/clips/{clip_id}/strips/0/near.jpg")
    for path in (*pages, *pictures):
        reply = stranger.get(path, cookie="cleartitle-desk-1=x; a=b")
        assert reply.status == 403
        assert b"sea" not in reply.body


def test_every_form_needs_the_token_of_its_session(conflict: Project, reader: Visitor) -> None:
    """All routes that take a POST, whatever is added later."""
    site = _Site(make_desk(conflict, "Ann"), Door(now=utc_now), "127.0.0.1:1")
    routes = [route for route in site.application().routes if isinstance(route, Route)]
    forms = [route.path for route in routes if "POST" in (route.methods or ()) and route.path != "/enter"]
    assert len(forms) == 7
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    body = urlencode({"verdict": "exclude", "reason": "no", "seen": "0", "clip": clip_id})
    for path in forms:
        place = path.replace("{clip_id}", clip_id).replace("{review_id:int}", "1")
        for forged in (body, f"{body}&form_token=wrong"):
            reply = reader.ask("POST", place, forged)
            assert reply.status == 403, place
            assert "does not come from a page of this session" in reply.text
    assert num_reviews(conflict) == 0
    assert reader.get("/queue").status == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}],
)
def test_a_form_of_another_site_is_refused(
    conflict: Project, reader: Visitor, headers: dict[str, str]
) -> None:
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    fields = {"verdict": "exclude", "reason": "no", "seen": "0", "form_token": reader.form_token()}
    reply = reader.ask("POST", f"/clips/{clip_id}/verdicts", urlencode(fields), **headers)
    assert reply.status == 403
    assert num_reviews(conflict) == 0


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "", "localhost:1"])
def test_another_host_name_is_refused(reader: Visitor, host: str) -> None:
    """A name that resolves to this machine after a while must not become a way in (DNS rebinding)."""
    reply = reader.get("/queue", host_=host.format(port=reader.host.partition(":")[2]))
    assert reply.status in {400, 421}
    assert b"sea" not in reply.body


def test_the_other_names_of_this_machine_are_fine(reader: Visitor) -> None:
    port = reader.host.partition(":")[2]
    assert reader.get("/queue", host_=f"localhost:{port}").status == 200


def test_every_answer_bears_the_headers(reader: Visitor) -> None:
    for path in ("/queue", "/nothing", "/static/desk.js", "/enter?token=wrong"):
        headers = reader.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


def test_pages_hold_no_script_or_style_of_their_own(conflict: Project, reader: Visitor) -> None:
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    for path in ("/queue", "/reviews", f"/clips/{clip_id}"):
        page = reader.get(path).text
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", page)
        assert "http" not in page.replace("http-equiv", "")


def test_a_session_ends_when_it_is_ended(visitor: Visitor) -> None:
    assert visitor.send("/leave").status == 200
    assert visitor.get("/queue").status == 403


def test_a_session_ends_after_twelve_idle_hours(project: Project) -> None:
    desk = make_desk(project, "Ann")
    times = [utc_now()]
    desk.now = lambda: times[-1]
    with served(desk) as visitor:
        visitor.enter()
        times.append(times[-1] + dt.timedelta(hours=11))
        assert visitor.get("/queue").status == 200
        times.append(times[-1] + dt.timedelta(hours=11, minutes=59))
        assert visitor.get("/queue").status == 200
        times.append(times[-1] + dt.timedelta(hours=12))
        assert visitor.get("/queue").status == 403


def test_a_stolen_session_ends_for_the_thief_and_for_everybody(conflict: Project) -> None:
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    with served(make_desk(conflict, "Ann")) as visitor:
        visitor.enter()
        fields = {"verdict": "exclude", "reason": "no", "seen": "0", "form_token": visitor.form_token()}
        thief = Visitor(visitor.link)
        thief.cookie = visitor.cookie
        reply = thief.ask("POST", f"/clips/{clip_id}/verdicts", urlencode(fields), user_agent="other")
        assert reply.status == 403
        assert num_reviews(conflict) == 0
        assert visitor.get("/queue").status == 403


def test_a_session_belongs_to_the_address_it_was_given_to() -> None:
    door = Door(now=utc_now)
    assert door.token is not None
    here, elsewhere = Caller("192.0.2.1", "Firefox"), Caller("192.0.2.2", "Firefox")
    session_id = door.enter(door.token, here)
    assert door.visit(session_id, here) is not None
    assert door.visit(session_id, elsewhere) is None
    assert door.visit(session_id, here) is None


def test_with_a_password_the_link_alone_does_not_open(project: Project, tmp_path: Path) -> None:
    write_password(tmp_path / "password", "correct horse battery")
    with served(make_desk(project, "Ann"), password=read_password(tmp_path / "password")) as visitor:
        asked = visitor.enter()
        assert asked.status == 200
        assert "set-cookie" not in asked.headers
        token = urlsplit(visitor.link).query.partition("=")[2]
        wrong = visitor.ask("POST", "/enter", urlencode({"token": token, "password": "wrong"}))
        assert wrong.status == 403
        stolen = visitor.ask("POST", "/enter", urlencode({"token": "x", "password": "correct horse battery"}))
        assert stolen.status == 403
        right = visitor.ask(
            "POST", "/enter", urlencode({"token": token, "password": "correct horse battery"})
        )
        assert right.status == 303


def test_nobody_gets_to_try_all_passwords(project: Project, tmp_path: Path) -> None:
    write_password(tmp_path / "password", "correct horse battery")
    door = Door(now=utc_now, password=read_password(tmp_path / "password"))
    token = door.token
    assert token is not None
    for _ in range(MAX_FAILURES):
        assert not door.knows("guess")
    assert door.token is None
    assert not door.knows(token)


def test_a_verdict_is_recorded_and_the_next_clip_shown(project: Project, visitor: Visitor) -> None:
    first, second = sorted(
        (clip_named(project, "sea.mp4").clip, clip_named(project, "copy.mp4").clip), key=lambda clip: clip.id
    )
    fields = {"verdict": "approve", "reason": "agreement 12", "seen": "0"}
    reply = visitor.send(f"/clips/{first.clip_id}/verdicts?state=open", **fields)
    assert reply.status == 303
    assert reply.headers["location"] == f"/clips/{second.clip_id}?state=open"
    page = visitor.get(reply.headers["location"]).text
    assert f"Review 1: approve recorded for clip:{first.clip_id}." in page
    assert "Review 1" not in visitor.get("/queue").text


def test_who_saw_an_older_page_gets_a_conflict_and_keeps_what_he_typed(
    project: Project, visitor: Visitor
) -> None:
    from governance.review.requests import VerdictRequest

    clip_id = clip_named(project, "sea.mp4").clip.clip_id
    other = VerdictRequest(scope=f"clip:{clip_id}", verdict=Verdict.EXCLUDE, reason="not theirs")
    make_desk(project, "Ben").decide(other)
    fields = {"verdict": "exclude", "reason": "my <own> reason", "seen": "0"}
    reply = visitor.send(f"/clips/{clip_id}/verdicts", **fields)
    assert reply.status == 409
    assert "someone decided meanwhile" in reply.text
    assert "my &lt;own&gt; reason" in reply.text
    assert "not theirs" in reply.text
    assert num_reviews(project) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"verdict": "", "reason": "x", "seen": "0"}, 400),
        ({"verdict": "withdraw", "reason": "x", "seen": "0"}, 400),
        ({"verdict": "exclude", "reason": "", "seen": "0"}, 400),
        ({"verdict": "exclude", "reason": "x", "seen": "many"}, 400),
        ({"verdict": "exclude", "reason": "x"}, 400),
        ({"verdict": "waive", "reason": "x", "seen": "0", "until": "soon"}, 400),
        ({"verdict": "waive", "reason": "x", "seen": "0", "code_waived": "grant.missing"}, 400),
        ({"verdict": "exclude", "reason": "x", "seen": "0", "scope": "holder:Nobody"}, 400),
    ],
)
def test_a_form_that_makes_no_sense_is_told_so(
    conflict: Project, reader: Visitor, fields: dict[str, str], status: int
) -> None:
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    assert reader.send(f"/clips/{clip_id}/verdicts", **fields).status == status
    assert num_reviews(conflict) == 0


def test_a_form_that_is_too_large_is_refused(conflict: Project, reader: Visitor) -> None:
    assert reader.ask("POST", "/queue/verdicts", "a=" + "x" * 300_000).status == 400
    many = "&".join(["clip=1"] * 3000)
    assert reader.ask("POST", "/queue/verdicts", many).status == 400
    assert reader.ask("POST", "/queue/verdicts", "a=%ff%fe").status == 400
    assert num_reviews(conflict) == 0


def test_a_bulk_verdict_tells_what_became_of_each(project: Project, visitor: Visitor) -> None:
    ids = [clip_named(project, name).clip.clip_id for name in ("sea.mp4", "copy.mp4")]
    token = visitor.form_token()
    fields = [("form_token", token), ("seen", "0"), ("verdict", "exclude"), ("reason", "all of it")]
    body = urlencode([*fields, *(("clip", clip_id) for clip_id in (*ids, "ffffffffffffffff"))])
    assert visitor.ask("POST", "/queue/verdicts?state=open", body).headers["location"] == "/queue?state=open"
    page = visitor.get("/queue").text
    assert "2 of 3 recorded." in page
    assert "1 drawn at random" in page
    assert "Not recorded: there is no clip" in page
    assert "no clip is selected" in visitor.send("/queue/verdicts", verdict="exclude", reason="x").text


def test_a_second_person_confirms_and_anybody_withdraws(project: Project, visitor: Visitor) -> None:
    from governance.review.requests import VerdictRequest

    clip_id = clip_named(project, "sea.mp4").clip.clip_id
    wanted = VerdictRequest(scope=f"clip:{clip_id}", verdict=Verdict.APPROVE, reason="agreement 12")
    review = make_desk(project, "Ben").decide(wanted)
    confirmed = visitor.send(f"/clips/{clip_id}/reviews/{review.id}/confirm?state=second", reason="me too")
    assert confirmed.status == 303
    withdrawn = visitor.send(f"/reviews/{review.id}/withdraw", reason="the wrong film")
    assert withdrawn.headers["location"] == "/reviews"
    page = visitor.get("/reviews").text
    assert f"withdraws {review.id}" in page
    again = visitor.send(f"/reviews/{review.id}/withdraw", reason="again")
    assert again.status == 403
    assert "withdrawn already" in again.text


def test_the_queue_filters_and_survives_odd_addresses(reader: Visitor) -> None:
    assert reader.get("/queue?code=match.title_conflict&holder=Sea+Films").text.count('name="clip"') == 1
    assert reader.get("/queue?code=other.code").text.count('name="clip"') == 0
    for odd in ("state=x&after=-1", "after=%00", "after=99999999999999999999", "code=%25%5C&holder=%22"):
        assert reader.get(f"/queue?{odd}").status == 200
    assert reader.get("/reviews?before=x").status == 200
    assert "is not text" in reader.get("/queue?holder=%00").text


@pytest.mark.parametrize(
    "path",
    [
        "/clips/ffffffffffffffff",
        "/clips/..%2f..%2fetc",
        "/media/..%2f..%2f..%2fetc%2fpasswd",
        "/media/" + "a" * 64,
        "/static/..%2fdesk.py",
        "/static/../desk.py",
        "/nothing",
    ],
)
def test_what_is_not_on_record_is_not_found(reader: Visitor, path: str) -> None:
    reply = reader.get(path)
    assert reply.status in {400, 404}
    assert b"root:" not in reply.body


def test_a_film_is_served_in_ranges(conflict: Project, reader: Visitor) -> None:
    item = clip_named(conflict, "sea.mp4")
    with conflict.session() as session:
        (path,) = asset_paths(session, [item.clip.asset_id])[item.clip.asset_id]
    content = path_of(path).read_bytes()
    address = f"/media/{item.asset_sha256}"
    whole = reader.get(address)
    assert (whole.status, whole.body) == (200, content)
    assert whole.headers["content-type"] == "video/mp4"
    part = reader.get(address, range_="bytes=100-199")
    assert (part.status, part.body) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert reader.get(address, range_=f"bytes={len(content)}-").status == 416


def test_a_file_that_changed_is_neither_played_nor_shown(project: Project, visitor: Visitor) -> None:
    """What is shown as the evidence must be the evidence: here a byte differs, the size and the name do not."""
    folder = project.root / "more"
    write_footage(folder, "moved.mp4", "again.mp4")
    files = take_footage(project, folder)
    rows = ("moved.mp4,Moved,Sea Films,CC0-1.0,", "again.mp4,Again,Hill Films,CC0-1.0,")
    claim_rights(project, files, folder / "rights.csv", *rows)
    record_match(project, *(file.asset_id or 0 for file in files))
    clear(project)
    item = clip_named(project, "moved.mp4")
    address = f"/media/{item.asset_sha256}"
    strip = f"/clips/{item.clip.clip_id}/strips/1/near.jpg"
    assert visitor.get(address).status == 200
    assert visitor.get(strip).headers["x-cleartitle-kept"] == "0"
    content = bytearray((folder / "moved.mp4").read_bytes())
    content[-1] ^= 0xFF
    (folder / "moved.mp4").write_bytes(content)
    assert visitor.get(address).status == 404
    kept = visitor.get(strip)
    assert (kept.status, kept.headers["x-cleartitle-kept"]) == (200, "1")
    (folder / "moved.mp4").unlink()
    assert visitor.get(address).status == 404
    assert visitor.get(strip).status == 200


def test_strips_and_thumbnails_are_pictures(conflict: Project, reader: Visitor) -> None:
    clip_id = clip_named(conflict, "sea.mp4").clip.clip_id
    for place in ("strips/0/near.jpg", "strips/1/near.jpg", "strips/1/far.jpg", "thumbnail.jpg"):
        picture = reader.get(f"/clips/{clip_id}/{place}")
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.body.startswith(b"\xff\xd8")
    assert reader.get(f"/clips/{clip_id}/strips/9/far.jpg").status == 404


def test_hostile_names_are_shown_and_do_nothing(project: Project, visitor: Visitor) -> None:
    """Markup is escaped; control and direction-changing characters are made visible."""
    folder = project.root / "more"
    name, holder = "<img src=x onerror=alert(1)>\u202e4pm.mp4", "<script>alert(2)</script>"
    write_footage(folder, name, "one.mp4", "two.mp4")
    files = {file.path.name: file for file in take_footage(project, folder)}
    rows = (f"one.mp4,<i>A title</i>,{holder},CC0-1.0,", "two.mp4,Plain,Hill Films,CC0-1.0,")
    claim_rights(project, list(files.values()), folder / "rights.csv", *rows)
    record_match(project, files["one.mp4"].asset_id or 0, files["two.mp4"].asset_id or 0)
    clear(project)
    hostile, claimed = (clip_named(project, file).clip.clip_id for file in (name, "one.mp4"))
    queue, by_name, by_holder = (
        visitor.get(path).text for path in ("/queue", f"/clips/{hostile}", f"/clips/{claimed}")
    )
    for page in (queue, by_name, by_holder):
        assert not any(live in page for live in ("<script>alert", "<img src=x", "<i>", "\u202e"))
    for page in (queue, by_name):
        assert "&lt;img src=x onerror=alert(1)&gt;\\u202e4pm.mp4" in page
    for page in (queue, by_holder):
        assert "&lt;script&gt;alert(2)" in page
    found = visitor.get("/queue?" + urlencode({"holder": holder})).text
    assert found.count('name="clip"') == 1


def test_a_clip_without_a_match_is_shown_all_the_same(conflict: Project, reader: Visitor) -> None:
    from db.queries import clips_by_prefix

    with conflict.session() as session:
        clips = clips_by_prefix(session, "", limit=10)
    held = {clip_named(conflict, name).clip.clip_id for name in ("sea.mp4", "copy.mp4")}
    (other,) = (clip.clip_id for clip in clips if clip.clip_id not in held)
    page = reader.get(f"/clips/{other}").text
    assert "No match found in these seconds." in page
    assert "license.noncommercial" in page


def test_an_asset_on_record_in_no_playable_form_is_not_served(project: Project) -> None:
    from dataclasses import replace

    from governance.review.footage import Side

    with project.session() as session:
        asset = find_asset(session, clip_named(project, "sea.mp4").asset_sha256)
    assert asset is not None

    def media_type(codec: str, container: str) -> str:
        changed = replace(asset, video_codec=codec, container=container)
        return Side(asset=changed, paths=(), first_pts=0, start_seconds=0, end_seconds=1).media_type

    assert media_type("h264", "mov,mp4,m4a,3gp,3g2,mj2") == "video/mp4"
    assert media_type("vp9", "matroska,webm") == "video/webm"
    assert media_type("prores", "mov,mp4,m4a,3gp,3g2,mj2") == ""
    assert media_type("mpeg2video", "mpeg") == ""
