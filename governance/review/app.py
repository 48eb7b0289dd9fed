"""The review desk as an ASGI application: routes, sessions and what each answers.

Every page but the entrance needs a session; every POST also needs the token of a form of that session. Work on the
database and on footage runs in threads, so that one slow film does not keep the page from answering.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from db.errors import ConfigError, Error, RefusedError
from db.review_queue import QueueFilter
from db.reviews import clip_scope
from db.vocabularies import Verdict
from governance.review.desk import PAGE_ROWS, Desk
from governance.review.door import Caller, Door, Shut, Visit
from governance.review.errors import DecidedMeanwhile
from governance.review.forms import Form, filter_fields, queue_address, read_filters, read_form
from governance.review.guard import Guard
from governance.review.pages import STATIC, draw
from governance.review.requests import Answer, VerdictRequest

_logger = logging.getLogger(__name__)

Handler = Callable[[Request, Visit], Awaitable[Response]]

_PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600"}
_SHOWN_REFUSALS = 5


def make_app(desk: Desk, door: Door, *, hosts: Sequence[str]) -> ASGIApp:
    """Return the application of one desk; `hosts` are the values of the Host header that it answers to."""
    return Guard(_Site(desk, door, hosts[0]).application(), hosts=hosts)


class _Site:
    """The pages of one desk."""

    def __init__(self, desk: Desk, door: Door, host: str) -> None:
        self._desk = desk
        self._door = door
        # Cookies do not tell ports apart: two desks in one browser each need a name of their own.
        self._cookie = f"cleartitle-desk-{host.rpartition(':')[2]}"

    def application(self) -> Starlette:
        """Return the routes."""
        pages = {
            "/": self._start,
            "/queue": self._queue,
            "/clips/{clip_id}": self._clip,
            "/reviews": self._reviews,
            "/clips/{clip_id}/strips/{number:int}/{side}.jpg": self._strip,
            "/clips/{clip_id}/thumbnail.jpg": self._thumbnail,
            "/media/{sha256}": self._media,
        }
        forms = {
            "/queue/verdicts": self._decide_many,
            "/clips/{clip_id}/verdicts": self._decide,
            "/clips/{clip_id}/reviews/{review_id:int}/confirm": self._confirm,
            "/clips/{clip_id}/reviews/{review_id:int}/withdraw": self._withdraw,
            "/reviews/{review_id:int}/confirm": self._confirm,
            "/reviews/{review_id:int}/withdraw": self._withdraw,
            "/leave": self._leave,
        }
        return Starlette(
            routes=[
                Mount("/static", StaticFiles(directory=STATIC)),
                Route("/enter", self._enter, methods=["GET", "POST"]),
                *(Route(path, self._inside(page), methods=["GET"]) for path, page in pages.items()),
                *(Route(path, self._inside(form), methods=["POST"]) for path, form in forms.items()),
            ],
            exception_handlers={404: _not_found},
        )

    # The entrance.

    async def _enter(self, request: Request) -> Response:
        try:
            if request.method == "POST":
                form = await read_form(request, "")
                session_id = await run_in_threadpool(
                    self._door.enter, form.one("token"), _caller(request), form.one("password")
                )
                return self._let_in(session_id)
            token = request.query_params.get("token", "")
            if not self._door.needs_password:
                return self._let_in(self._door.enter(token, _caller(request)))
            if not self._door.knows(token):
                raise Shut("this link was used already, or is not the one of this desk")
            return HTMLResponse(draw("password.html", token=token, problem=""))
        except Error as exc:
            _logger.warning("somebody could not come in: %s", exc)
            return HTMLResponse(draw("shut.html", problem=str(exc)), status_code=403)

    def _let_in(self, session_id: str) -> Response:
        response = RedirectResponse("/queue", status_code=303)
        response.set_cookie(self._cookie, session_id, httponly=True, samesite="strict", path="/")
        return response

    def _inside(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            visit = self._door.visit(request.cookies.get(self._cookie, ""), _caller(request))
            if visit is None:
                problem = "There is no session, or it has ended."
                return HTMLResponse(draw("shut.html", problem=problem), status_code=403)
            try:
                return await handler(request, visit)
            except Error as exc:
                return self._problem(visit, exc)

        return guarded

    async def _leave(self, request: Request, visit: Visit) -> Response:
        await read_form(request, visit.form_token)
        self._door.leave(request.cookies.get(self._cookie, ""))
        response = HTMLResponse(draw("shut.html", problem="The session has ended."))
        response.delete_cookie(self._cookie, path="/")
        return response

    # Pages.

    async def _start(self, _request: Request, _visit: Visit) -> Response:
        return RedirectResponse("/queue", status_code=303)

    async def _queue(self, request: Request, visit: Visit) -> Response:
        filters = read_filters(request.query_params)
        after = request.query_params.get("after", "0")
        key = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
        view = await run_in_threadpool(self._desk.queue, filters, after=key)
        return self._page("queue.html", visit, view=view, filters=filters, after=key)

    async def _clip(self, request: Request, visit: Visit) -> Response:
        return await self._clip_page(request, visit)

    async def _clip_page(
        self, request: Request, visit: Visit, *, problem: Error | None = None, form: Form | None = None
    ) -> Response:
        filters = read_filters(request.query_params)
        clip_id = request.path_params["clip_id"]
        case = await run_in_threadpool(self._desk.case, clip_id)
        number = request.query_params.get("match", "1")
        chosen = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
        return self._page(
            "clip.html",
            visit,
            status_code=200 if problem is None else _status_of(problem),
            case=case,
            filters=filters,
            fields=filter_fields(filters),
            chosen=min(max(chosen, 1), max(len(case.pairs), 1)),
            next_id=await self._neighbour(clip_id, filters),
            previous_id=await self._neighbour(clip_id, filters, is_backwards=True),
            problem=problem,
            form=form or Form(()),
        )

    async def _neighbour(
        self, clip_id: str, filters: QueueFilter, *, is_backwards: bool = False
    ) -> str | None:
        return await run_in_threadpool(self._desk.neighbour, clip_id, filters, is_backwards=is_backwards)

    async def _reviews(self, request: Request, visit: Visit) -> Response:
        before = request.query_params.get("before", "")
        key = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
        entries = await run_in_threadpool(self._desk.history, before=key)
        return self._page("reviews.html", visit, entries=entries, is_last=len(entries) < PAGE_ROWS)

    # Footage.

    async def _strip(self, request: Request, _visit: Visit) -> Response:
        wanted = request.path_params
        found = await run_in_threadpool(
            self._desk.pictures, wanted["clip_id"], wanted["number"], wanted["side"]
        )
        if found is None:
            return Response(status_code=404)
        picture, is_kept = found
        headers = _PICTURE_HEADERS | {"X-Cleartitle-Kept": "1" if is_kept else "0"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    async def _thumbnail(self, request: Request, _visit: Visit) -> Response:
        picture = await run_in_threadpool(self._desk.thumbnail, request.path_params["clip_id"])
        if picture is None:
            return Response(status_code=404)
        return Response(picture, media_type="image/jpeg", headers=_PICTURE_HEADERS)

    async def _media(self, request: Request, _visit: Visit) -> Response:
        found = await run_in_threadpool(self._desk.media, request.path_params["sha256"])
        if found is None:
            return Response(status_code=404)
        path, media_type = found
        return FileResponse(path, media_type=media_type, headers={"Cache-Control": "private, no-cache"})

    # Verdicts.

    async def _decide(self, request: Request, visit: Visit) -> Response:
        form = await read_form(request, visit.form_token)
        clip_id = request.path_params["clip_id"]

        def act() -> str:
            verdict = form.verdict()
            wanted = VerdictRequest(
                scope=form.one("scope") or clip_scope(clip_id),
                verdict=verdict,
                reason=form.one("reason"),
                codes=form.all("code_waived"),
                expires_at=form.until(),
                conditions=form.one("conditions"),
                seen_id=form.number("seen"),
            )
            review = self._desk.decide(_fitting(wanted, clip_id))
            return f"Review {review.id}: {verdict.value} recorded for {review.scope}."

        return await self._acted(request, visit, form, act)

    async def _confirm(self, request: Request, visit: Visit) -> Response:
        form = await read_form(request, visit.form_token)
        review_id = request.path_params["review_id"]

        def act() -> str:
            review = self._desk.confirm(review_id, form.one("reason"))
            return f"Review {review.id}: confirmed review {review_id}."

        return await self._acted(request, visit, form, act)

    async def _withdraw(self, request: Request, visit: Visit) -> Response:
        form = await read_form(request, visit.form_token)
        review_id = request.path_params["review_id"]

        def act() -> str:
            review = self._desk.withdraw(review_id, form.one("reason"))
            return f"Review {review.id}: withdrew review {review_id}."

        return await self._acted(request, visit, form, act)

    async def _acted(self, request: Request, visit: Visit, form: Form, act: Callable[[], str]) -> Response:
        """Do what a form asks for; go on to the next clip, or show the same page with what is wrong."""
        clip_id = request.path_params.get("clip_id")
        filters = read_filters(request.query_params)
        if clip_id is None:
            visit.notices.append(await run_in_threadpool(act))
            return RedirectResponse("/reviews", status_code=303)
        following = await self._neighbour(clip_id, filters)
        try:
            visit.notices.append(await run_in_threadpool(act))
        except Error as exc:
            return await self._clip_page(request, visit, problem=exc, form=form)
        return RedirectResponse(queue_address(filters, clip_id=following), status_code=303)

    async def _decide_many(self, request: Request, visit: Visit) -> Response:
        form = await read_form(request, visit.form_token)
        filters = read_filters(request.query_params)
        clip_ids = form.all("clip")
        if not clip_ids:
            raise ConfigError("no clip is selected", hint="tick the clips first")
        answers = await run_in_threadpool(partial(self._answers, form, clip_ids))
        visit.notices += _notices(answers)
        return RedirectResponse(queue_address(filters), status_code=303)

    def _answers(self, form: Form, clip_ids: Sequence[str]) -> list[Answer]:
        if form.one("verdict") == "confirm":
            return self._desk.confirm_many(clip_ids, form.one("reason"))
        verdict, seen_id = form.verdict(), form.number("seen")
        wanted = [
            VerdictRequest(
                scope=clip_scope(clip_id),
                verdict=verdict,
                reason=form.one("reason"),
                codes=form.all("code_waived"),
                expires_at=form.until(),
                conditions=form.one("conditions"),
                seen_id=seen_id,
            )
            for clip_id in clip_ids
        ]
        return self._desk.decide_many([_fitting(request, "") for request in wanted])

    # Answers.

    def _page(self, template: str, visit: Visit, *, status_code: int = 200, **values: Any) -> Response:
        notices, visit.notices = visit.notices, []
        page = draw(
            template, reviewer=self._desk.reviewer, form_token=visit.form_token, notices=notices, **values
        )
        return HTMLResponse(page, status_code=status_code)

    def _problem(self, visit: Visit, problem: Error) -> Response:
        return self._page("problem.html", visit, status_code=_status_of(problem), problem=problem)


def _fitting(request: VerdictRequest, clip_id: str) -> VerdictRequest:
    """Drop what the form carries for waivers only, when the verdict is another one."""
    if request.verdict is Verdict.WAIVE:
        return request
    scope = clip_scope(clip_id) if clip_id and request.verdict is Verdict.APPROVE else request.scope
    return replace(request, scope=scope, codes=(), conditions="", expires_at=None)


def _notices(answers: Sequence[Answer]) -> list[str]:
    """Say what became of a bulk verdict, every refusal counted and the first few told."""
    done = [answer.review for answer in answers if answer.review is not None]
    refused = [answer.error for answer in answers if answer.error is not None]
    num_sampled = sum(review.is_sample for review in done)
    notices = [f"{len(done)} of {len(answers)} recorded."]
    if num_sampled:
        notices.append(f"{num_sampled} drawn at random: another person must look at them one by one.")
    notices += [f"Not recorded: {error}" for error in refused[:_SHOWN_REFUSALS]]
    if len(refused) > _SHOWN_REFUSALS:
        notices.append(f"... and {len(refused) - _SHOWN_REFUSALS} more were not recorded.")
    return notices


def _status_of(problem: Error) -> int:
    if isinstance(problem, DecidedMeanwhile):
        return 409
    if isinstance(problem, RefusedError):
        return 403
    return 400 if isinstance(problem, ConfigError) else 503


def _caller(request: Request) -> Caller:
    address = "" if request.client is None else request.client.host
    return Caller(address, request.headers.get("user-agent", ""))


async def _not_found(_request: Request, _error: Exception) -> Response:
    return HTMLResponse(draw("shut.html", problem="There is no such page."), status_code=404)
