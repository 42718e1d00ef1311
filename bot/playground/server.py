"""The workspace over HTTP: Slack's Web API for the app, /client/ for people, /control/ for tests, the page
itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlparse

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.playground.client import visit
from bot.playground.control import LEVERS
from bot.playground.delivery.delivery import Link, Outbox
from bot.playground.delivery.interactions import respond
from bot.playground.delivery.links import Links
from bot.playground.delivery.signed_http import SignedHttp
from bot.playground.delivery.sockets import Sockets
from bot.playground.errors import ApiError, PlaygroundError
from bot.playground.state.live import Live
from bot.playground.state.posting import Floor
from bot.playground.state.workspace import Json, Workspace
from bot.playground.web_api.api import Api, read_call
from bot.playground.web_api.files import keep_content
from bot.playground.web_api.oauth import Codes, allow_page, way_back
from bot.playground.web_api.rates import Rates
from bot.playground.web_api.streams import clear_expired
from bot.playground.web_api.webhooks import receive

STATIC = Path(__file__).parent / "static"
HOSTS = ["127.0.0.1", "localhost", "testserver"]


def build(workspaces: Sequence[Workspace], http_target: str | None) -> Starlette:
    """The ASGI application around the workspaces; `http_target` is the app's request URL when it speaks HTTP.

    The first workspace stands at the root, each other one below `/teams/ID`; the app's calls go by their token.
    """
    first, lives = workspaces[0], [Live() for _ in workspaces]

    def tell(count: int) -> None:
        for live in lives:
            live.tell({"type": "app", "connected": count})

    sockets = Sockets(first.clock, tell)
    link: Link = SignedHttp(http_target, first.tokens["signing_secret"]) if http_target else sockets
    codes, desks = Codes(), []
    for workspace, live in zip(workspaces, lives, strict=True):
        floor = Floor(workspace, Outbox(workspace, link), live, Links(workspace.clock), sockets)
        floor.codes = codes
        codes.floors[workspace.team.id] = floor
        desks.append(Desk(Api(floor, Rates(workspace.clock)), floor))
    desk, installing = desks[0], Installing(desks, codes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for one in desks:
            one.floor.outbox.resume()
        sweepers = [asyncio.create_task(one.sweep()) for one in desks]
        yield
        for sweeper in sweepers:
            sweeper.cancel()
        if isinstance(link, SignedHttp):
            await link.close()

    app = Starlette(
        routes=[
            *installing.routes(),
            *(Mount(f"/teams/{one.floor.workspace.team.id}", routes=one.routes()) for one in desks[1:]),
            *desk.routes(),
        ],
        lifespan=lifespan,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
    )
    app.state.desk = desk
    return app


class Installing:
    """What belongs to the app and to no workspace: the allow page, and the calls' way to the workspace of their token."""

    def __init__(self, desks: Sequence[Desk], codes: Codes) -> None:
        self.desks, self.codes = desks, codes

    def routes(self) -> list[Route]:
        """Ahead of the first workspace's own."""
        return [
            Route("/oauth/v2/authorize", self.page),
            Route("/oauth/v2/allow", self.allow, methods=["POST"]),
            Route("/api/{method:path}", self.call, methods=["GET", "POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Where the app's own page sends an admin."""
        return HTMLResponse(allow_page(self.codes.floors, dict(request.query_params)))

    async def allow(self, request: Request) -> Response:
        """The admin has chosen."""
        async with request.form() as form:
            return RedirectResponse(way_back(self.codes, dict(form)), status_code=302)

    async def call(self, request: Request) -> Response:
        """A call of the app, answered by the workspace whose token it carries."""
        _, token, _ = await read_call(request)
        for desk in self.desks[1:]:
            tokens = desk.floor.workspace.tokens
            if desk.floor.workspace.bot_token_state(token) or token in tokens["revoked"]:
                return await desk.api.answer(request)
        return await self.desks[0].api.answer(request)


class Desk:
    """The HTTP and WebSocket handlers."""

    def __init__(self, api: Api, floor: Floor) -> None:
        self.api = api
        self.floor = floor

    def routes(self) -> list[Route | WebSocketRoute | Mount]:
        """Who answers what."""
        return [
            Route("/api/{method:path}", self.api.answer, methods=["GET", "POST"]),
            WebSocketRoute("/link/", self.floor.sockets.serve),
            Route("/response/{key}", self.response_url, methods=["POST"]),
            Route("/services/{path:path}", self.webhook, methods=["POST"]),
            Route("/upload/v1/{file_id}", self.upload, methods=["POST", "PUT"]),
            Route("/files-pri/{file:path}", self.download),
            Route("/client/file/{file_id}", self.picture),
            WebSocketRoute("/client/live", self.live),
            Route("/client/upload", self.person_upload, methods=["POST"]),
            Route("/client/{verb}", self.person, methods=["POST"]),
            Route("/control/{lever}", self.control, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
            Route("/signin", lambda request: PlainTextResponse("<!DOCTYPE html><title>Sign in</title>")),
            Route("/", self.page),
            Route("/archives/{rest:path}", self.page),
            Route("/threads", self.page),
        ]

    async def webhook(self, request: Request) -> Response:
        """What comes to an incoming webhook."""
        return await receive(self.floor, request)

    async def page(self, request: Request) -> Response:
        """The web page."""
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def person(self, request: Request) -> Response:
        """One thing a person does."""
        verb = visit.VERBS.get(request.path_params["verb"])
        if verb is None or not same_origin(request):
            return JSONResponse({"ok": False, "error": "There is nothing here."}, status_code=404)
        args: Json = await request.json()
        return await self._person(verb, args)

    async def person_upload(self, request: Request) -> Response:
        """A file from a person (multipart: user, file, and as for `say`: channel, thread_ts, text)."""
        if not same_origin(request):
            return JSONResponse({"ok": False, "error": "There is nothing here."}, status_code=404)
        async with request.form() as form:
            args: Json = {key: value for key, value in form.items() if isinstance(value, str) and value}
            file = form.get("file")
            if not isinstance(file, UploadFile):
                return JSONResponse(
                    {"ok": False, "error": "There is no file in the upload."}, status_code=400
                )
            args |= {"name": file.filename or "file", "content": await file.read()}
        return await self._person(visit.upload, args)

    async def _person(self, verb: visit.Verb, args: Json) -> Response:
        try:
            user = self.floor.workspace.person(str(args.get("user") or ""))
            return JSONResponse({"ok": True, **await verb(self.floor, user, args)})
        except PlaygroundError as error:
            return JSONResponse({"ok": False, "error": str(error)}, status_code=400)
        except ApiError as error:
            return JSONResponse({"ok": False, "error": f"Slack refuses: {error.code}."}, status_code=400)
        except KeyError as error:
            return JSONResponse({"ok": False, "error": f"{error} is missing."}, status_code=400)

    async def control(self, request: Request) -> Response:
        """One lever for tests."""
        lever = LEVERS.get(request.path_params["lever"])
        if lever is None or not same_origin(request):
            return JSONResponse({"ok": False, "error": "There is no such lever."}, status_code=404)
        try:
            return JSONResponse({"ok": True, **await lever(self.api, await request.json())})
        except PlaygroundError as error:
            return JSONResponse({"ok": False, "error": str(error)}, status_code=400)
        except ApiError as error:
            return JSONResponse({"ok": False, "error": f"Slack refuses: {error.code}."}, status_code=400)

    async def response_url(self, request: Request) -> Response:
        """A post to a response_url."""
        try:
            link = self.floor.links.use_response(request.path_params["key"])
            body = json.loads(await request.body())
            user = self.floor.workspace.users[link.user]
            channel = self.floor.workspace.channels[link.channel]
            respond(self.floor, channel, user, body, link.ts, link.thread_ts)
        except ApiError as error:
            status = 404 if error.code in {"expired_url", "used_url"} else 400
            return JSONResponse(error.body(), status_code=status)
        except ValueError:
            return JSONResponse({"ok": False, "error": "invalid_payload"}, status_code=400)
        return PlainTextResponse("ok")

    async def upload(self, request: Request) -> Response:
        """The bytes of a file, raw or as multipart."""
        record = self.floor.workspace.files.get(request.path_params["file_id"])
        if record is None:
            return PlainTextResponse("file not found", status_code=404)
        if request.headers.get("content-type", "").startswith("multipart/"):
            async with request.form() as form:
                parts = [part for part in form.values() if isinstance(part, UploadFile)]
                content = await parts[0].read() if parts else b""
        else:
            content = await request.body()
        keep_content(self.floor.workspace, record, content)
        return PlainTextResponse(f"OK - {len(content)}")

    async def download(self, request: Request) -> Response:
        """A file for the app: its token, or Slack's sign-in page (which is HTML with status 200)."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        tokens = self.floor.workspace.tokens
        state = self.floor.workspace.bot_token_state(token)
        is_allowed = state == "valid" and token not in tokens["revoked"]
        if not is_allowed or "files:read" not in self.floor.workspace.app.scopes:
            return RedirectResponse("/signin", status_code=302)
        file_id = request.path_params["file"].split("/")[0].split("-")[-1]
        return self._content(file_id)

    async def picture(self, request: Request) -> Response:
        """A file for a person's page."""
        return self._content(request.path_params["file_id"])

    def _content(self, file_id: str) -> Response:
        record = self.floor.workspace.files.get(file_id)
        content = self.floor.workspace.store.content(file_id)
        if record is None or content is None:
            return PlainTextResponse("file not found", status_code=404)
        inline = record["mimetype"].startswith("image/") and "svg" not in record["mimetype"]
        name = (
            "".join(c for c in record["name"] if c.isprintable() and c != '"')
            .encode("ascii", "replace")
            .decode()
        )
        kind = record["mimetype"] if inline else "application/octet-stream"
        headers = {"content-disposition": f'{"inline" if inline else "attachment"}; filename="{name}"'}
        return Response(content, media_type=kind, headers={**headers, "x-content-type-options": "nosniff"})

    async def live(self, socket: WebSocket) -> None:
        """Everything that happens, as it happens, for one person's page."""
        user = socket.query_params.get("user", "")
        if user not in self.floor.workspace.users or not same_origin(socket):
            await socket.close(code=1008)
            return
        await socket.accept()
        queue = self.floor.live.watch(user)
        reader = asyncio.create_task(_until_closed(socket))
        try:
            while not reader.done():
                turn = asyncio.create_task(queue.get())
                await asyncio.wait({turn, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not turn.done():
                    turn.cancel()
                    break
                note = turn.result()
                if note is None:
                    break
                await socket.send_text(json.dumps(note))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self.floor.live.unwatch(queue)
            reader.cancel()

    async def sweep(self) -> None:
        """Let status lines expire."""
        while True:
            await self.floor.workspace.clock.sleep(5)
            clear_expired(self.floor)


def same_origin(request: HTTPConnection) -> bool:
    """Refuse other web pages: a browser's Origin must be our own host."""
    origin = request.headers.get("origin")
    return origin is None or urlparse(origin).netloc == request.headers.get("host")


async def _until_closed(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError):
        return
