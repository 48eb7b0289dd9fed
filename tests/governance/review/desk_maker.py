"""A library with a title conflict, and desks that are really served: for tests of the review desk."""

from __future__ import annotations

import http.client
import random
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from db import evidence
from db.clock import utc_now
from db.project import Project, open_project
from db.review_queue import QueueFilter, QueueItem, QueueState, queue
from db.vocabularies import MatchKind, MatchTier
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.review.desk import Desk
from governance.review.passwords import PasswordDigest
from governance.review.requests import Reviewer
from governance.review.server import Address, opened
from ingest.intake.intake import register_encoder
from tests.cli import cleartitle
from tests.library import DETECTOR, HEADER, ColourEncoder, claim_rights, take_footage, write_footage
from tests.media import moving_scene, write_video

POLICY = "conflicts"
_POLICY_TEXT = """\
schema: 1
name: conflicts
version: "1"
title: Holds every title conflict
rules:
  - id: title-conflict
    effect: hold
    when: matches.num_title_conflicts > 0
    code: match.title_conflict
    because: Another holder claims the same footage.
    remedy: Record a document that settles whose it is, or have two people settle it.
  - id: noncommercial
    effect: exclude
    when: grant.present && grant.commercial_use == "no"
    code: license.noncommercial
    because: The licence does not allow commercial use.
    remedy: Obtain another licence.
  - id: granted
    effect: clear
    when: grant.present && grant.in_force == "yes"
    code: grant.in_force
    because: A grant is in force.
"""


def make_conflict(root: Path) -> Project:
    """Record `sea.mp4` of Sea Films and `copy.mp4`, the same footage claimed by Hill Films; both are held."""
    project = bootstrap(root / "project").project
    project.policies.mkdir(exist_ok=True)
    (project.policies / f"{POLICY}.yaml").write_text(_POLICY_TEXT, encoding="utf-8")
    footage = root / "footage"
    write_footage(footage, "sea.mp4", "study.mp4")
    # The same scene, smaller and coarser.
    scene = moving_scene(sum(b"sea.mp4"), 24, 96, 128)
    write_video(
        footage / "copy.mp4", (picture[::2, ::2] for picture in scene), rate=12, options={"crf": "30"}
    )
    files = take_footage(project, footage)
    rows = (
        "sea.mp4,The sea,Sea Films,CC0-1.0,",
        "copy.mp4,<b>The</b> sea again,Hill Films,CC0-1.0,",
        "study.mp4,A study,Study Films,CC-BY-NC-4.0,",
    )
    claim_rights(project, files, footage / "rights.csv", *rows)
    ids = {file.path.name: file.asset_id for file in files}
    record_match(project, ids["sea.mp4"] or 0, ids["copy.mp4"] or 0)
    clear(project)
    return project


def record_match(project: Project, one: int, other: int) -> None:
    """Record that the first two seconds of two assets are the same."""
    low, high = sorted((one, other))
    with project.session() as session:
        row = {
            "asset_id": low,
            "other_id": high,
            "encoder_id": register_encoder(session, ColourEncoder().identity),
            "detector_digest": DETECTOR,
            "start_seconds": 0.0,
            "end_seconds": 2.0,
            "other_start_seconds": 0.0,
            "other_end_seconds": 2.0,
            "score": 0.95,
            "kind": MatchKind.PICTURE,
            "tier": MatchTier.VERIFIED,
            "num_votes": 4,
            "speed": 1.0,
            "is_mirrored": False,
            "evidence": {},
        }
        evidence.add_matches(session, [row])


def make_real_conflict(root: Path, footage: Path) -> Project:
    """Take in one shot of the shared footage as two studios deliver it, with the product's own search for copies."""
    folder = root / "footage"
    folder.mkdir(parents=True)
    for name in ("mdn_flower.mp4", "mdn_flower.webm"):
        shutil.copy(footage / name, folder / name)
    rows = (
        "mdn_flower.mp4,A flower,Flower Films,CC0-1.0,",
        "mdn_flower.webm,Spring,Spring Pictures,CC0-1.0,",
    )
    (folder / "rights.csv").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    for command in (("init",), ("ingest", folder, "--rights", folder / "rights.csv")):
        answer = cleartitle(*command, "--project", root / "project", cwd=root)
        assert answer.exit_code == 0, answer.stderr
    return open_project(root / "project")


def clear(project: Project, policy_name: str = POLICY) -> None:
    """Decide everything anew."""
    policy = find_policy(policy_name, project.policies)
    comparison = present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)


def clip_named(project: Project, name: str, policy_name: str = POLICY) -> QueueItem:
    """Return the only clip of a file, which must be held."""
    from db.queries import asset_paths

    with project.session() as session:
        items = queue(session, policy_name, limit=100, filters=QueueFilter(state=QueueState.HELD)).items
        paths = asset_paths(session, [item.clip.asset_id for item in items])
    (found,) = (item for item in items if Path(paths[item.clip.asset_id][0]).name == name)
    return found


def make_desk(project: Project, name: str, policy_name: str = POLICY) -> Desk:
    """A desk of this reviewer."""
    reviewer = Reviewer(name=name, policy_name=policy_name)
    return Desk(project=project, reviewer=reviewer, chance=random.Random(1))


@dataclass(frozen=True)
class Reply:
    """What a desk answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Visitor:
    """Somebody with a browser, less the browser."""

    def __init__(self, link: str) -> None:
        parts = urlsplit(link)
        self.link = link
        self.host = parts.netloc
        self.cookie = ""

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Reply:
        """Send one request; a header given as `host_` is called `Host`, and so on."""
        named = {name.rstrip("_").replace("_", "-").title(): value for name, value in headers.items()}
        if self.cookie:
            named.setdefault("Cookie", self.cookie)
        if method == "POST":
            named.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, path, body=body or None, headers=named)
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, lower, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """Ask for a page."""
        return self.ask("GET", path, **headers)

    def enter(self) -> Reply:
        """Follow the link and keep the cookie."""
        parts = urlsplit(self.link)
        reply = self.get(f"{parts.path}?{parts.query}")
        self.cookie = reply.headers.get("set-cookie", "").partition(";")[0]
        return reply

    def form_token(self) -> str:
        """The token that the forms of this session bear."""
        page = self.get("/queue").text
        return page.partition('name="form_token" value="')[2].partition('"')[0]

    def send(self, path: str, **fields: str) -> Reply:
        """Send a form as our own pages do."""
        return self.ask("POST", path, urlencode({"form_token": self.form_token(), **fields}))


@contextmanager
def served(desk: Desk, *, password: PasswordDigest | None = None) -> Iterator[Visitor]:
    """Serve a desk on a free port of this machine, in a thread of its own."""
    with opened(desk, Address(password=password)) as opening:
        thread = threading.Thread(target=opening.run)
        thread.start()
        try:
            yield Visitor(opening.link)
        finally:
            opening.server.should_exit = True
            thread.join()
