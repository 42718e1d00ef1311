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

from bot.playground.client import person_actions
from bot.playground.control import OPERATIONS
from bot.playground.delivery.delivery import Link, Outbox
from bot.playground.delivery.interactions import respond
from bot.playground.delivery.links import Links
from bot.playground.delivery.signed_http import SignedHttp
from bot.playground.delivery.sockets import Sockets
from bot.playground.errors import ApiError, PlaygroundError
from bot.playground.state.live import Live
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json, Workspace
from bot.playground.web_api.api import Api, read_call
from bot.playground.web_api.files import keep_content
from bot.playground.web_api.oauth import Codes, allow_page, redirect_url
from bot.playground.web_api.rates import Rates
from bot.playground.web_api.streams import clear_expired
from bot.playground.web_api.webhooks import receive

STATIC = Path(__file__).parent / "static"
HOSTS = ["127.0.0.1", "localhost", "testserver"]


def build(workspaces: Sequence[Workspace], http_target: str | None) -> Starlette:
    """The ASGI application around the workspaces; `http_target` is the app's request URL when it speaks HTTP.

    The first workspace is at the root, each other one below `/teams/ID`; the app's calls go by their token.
    """
    first, lives = workspaces[0], [Live() for _ in workspaces]

    def on_sockets(count: int) -> None:
        for live in lives:
            live.publish({"type": "app", "connected": count})

    sockets = Sockets(first.clock, on_sockets)
    link: Link = SignedHttp(http_target, first.tokens["signing_secret"]) if http_target else sockets
    codes, all_routes = Codes(), []
    for workspace, live in zip(workspaces, lives, strict=True):
        context = WorkspaceContext(workspace, Outbox(workspace, link), live, Links(workspace.clock), sockets)
        context.codes = codes
        codes.contexts[workspace.team.id] = context
        all_routes.append(WorkspaceRoutes(Api(context, Rates(workspace.clock)), context))
    workspace_routes, install_routes = all_routes[0], InstallRoutes(all_routes, codes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for one in all_routes:
            one.context.outbox.resume()
        sweepers = [asyncio.create_task(one.sweep()) for one in all_routes]
        yield
        for sweeper in sweepers:
            sweeper.cancel()
        if isinstance(link, SignedHttp):
            await link.close()

    app = Starlette(
        routes=[
            *install_routes.routes(),
            *(
                Mount(f"/teams/{one.context.workspace.team.id}", routes=one.routes())
                for one in all_routes[1:]
            ),
            *workspace_routes.routes(),
        ],
        lifespan=lifespan,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
    )
    app.state.workspace_routes = workspace_routes
    return app


class InstallRoutes:
    """The routes that belong to no workspace: the install page, and calls, which go to the workspace of their token."""

    def __init__(self, all_routes: Sequence[WorkspaceRoutes], codes: Codes) -> None:
        self.all_routes, self.codes = all_routes, codes

    def routes(self) -> list[Route]:
        """The routes, which come before those of the first workspace."""
        return [
            Route("/oauth/v2/authorize", self.page),
            Route("/oauth/v2/allow", self.allow, methods=["POST"]),
            Route("/api/{method:path}", self.call, methods=["GET", "POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The page to which the app sends an admin for the installation."""
        return HTMLResponse(allow_page(self.codes.contexts, dict(request.query_params)))

    async def allow(self, request: Request) -> Response:
        """Take the admin's choice and redirect to the app."""
        async with request.form() as form:
            return RedirectResponse(redirect_url(self.codes, dict(form)), status_code=302)

    async def call(self, request: Request) -> Response:
        """Answer a call of the app from the workspace whose token it carries."""
        _, token, _ = await read_call(request)
        for workspace_routes in self.all_routes[1:]:
            tokens = workspace_routes.context.workspace.tokens
            if workspace_routes.context.workspace.bot_token_state(token) or token in tokens["revoked"]:
                return await workspace_routes.api.answer(request)
        return await self.all_routes[0].api.answer(request)


class WorkspaceRoutes:
    """The HTTP and WebSocket handlers of one workspace."""

    def __init__(self, api: Api, context: WorkspaceContext) -> None:
        self.api = api
        self.context = context

    def routes(self) -> list[Route | WebSocketRoute | Mount]:
        """The routes and their handlers."""
        return [
            Route("/api/{method:path}", self.api.answer, methods=["GET", "POST"]),
            WebSocketRoute("/link/", self.context.sockets.serve),
            Route("/response/{key}", self.response_url, methods=["POST"]),
            Route("/services/{path:path}", self.webhook, methods=["POST"]),
            Route("/upload/v1/{file_id}", self.upload, methods=["POST", "PUT"]),
            Route("/files-pri/{file:path}", self.download),
            Route("/client/file/{file_id}", self.picture),
            WebSocketRoute("/client/live", self.live),
            Route("/client/upload", self.person_upload, methods=["POST"]),
            Route("/client/{verb}", self.person, methods=["POST"]),
            Route("/control/{operation}", self.control, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
            Route("/signin", lambda request: PlainTextResponse("<!DOCTYPE html><title>Sign in</title>")),
            Route("/", self.page),
            Route("/archives/{rest:path}", self.page),
            Route("/threads", self.page),
        ]

    async def webhook(self, request: Request) -> Response:
        """Post what an incoming webhook sends."""
        return await receive(self.context, request)

    async def page(self, request: Request) -> Response:
        """The web page."""
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def person(self, request: Request) -> Response:
        """Run one action of a person."""
        verb = person_actions.ACTIONS.get(request.path_params["verb"])
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
        return await self._person(person_actions.upload, args)

    async def _person(self, verb: person_actions.Action, args: Json) -> Response:
        try:
            user = self.context.workspace.person(str(args.get("user") or ""))
            return JSONResponse({"ok": True, **await verb(self.context, user, args)})
        except PlaygroundError as error:
            return JSONResponse({"ok": False, "error": str(error)}, status_code=400)
        except ApiError as error:
            return JSONResponse({"ok": False, "error": f"Slack refuses: {error.code}."}, status_code=400)
        except KeyError as error:
            return JSONResponse({"ok": False, "error": f"{error} is missing."}, status_code=400)

    async def control(self, request: Request) -> Response:
        """Run one operation for tests."""
        operation = OPERATIONS.get(request.path_params["operation"])
        if operation is None or not same_origin(request):
            return JSONResponse({"ok": False, "error": "There is no such lever."}, status_code=404)
        try:
            return JSONResponse({"ok": True, **await operation(self.api, await request.json())})
        except PlaygroundError as error:
            return JSONResponse({"ok": False, "error": str(error)}, status_code=400)
        except ApiError as error:
            return JSONResponse({"ok": False, "error": f"Slack refuses: {error.code}."}, status_code=400)

    async def response_url(self, request: Request) -> Response:
        """A post to a response_url."""
        try:
            link = self.context.links.use_response(request.path_params["key"])
            body = json.loads(await request.body())
            user = self.context.workspace.users[link.user]
            channel = self.context.workspace.channels[link.channel]
            respond(self.context, channel, user, body, link.ts, link.thread_ts)
        except ApiError as error:
            status = 404 if error.code in {"expired_url", "used_url"} else 400
            return JSONResponse(error.body(), status_code=status)
        except ValueError:
            return JSONResponse({"ok": False, "error": "invalid_payload"}, status_code=400)
        return PlainTextResponse("ok")

    async def upload(self, request: Request) -> Response:
        """The bytes of a file, raw or as multipart."""
        record = self.context.workspace.files.get(request.path_params["file_id"])
        if record is None:
            return PlainTextResponse("file not found", status_code=404)
        if request.headers.get("content-type", "").startswith("multipart/"):
            async with request.form() as form:
                parts = [part for part in form.values() if isinstance(part, UploadFile)]
                content = await parts[0].read() if parts else b""
        else:
            content = await request.body()
        keep_content(self.context.workspace, record, content)
        return PlainTextResponse(f"OK - {len(content)}")

    async def download(self, request: Request) -> Response:
        """A file for the app: its token, or Slack's sign-in page (which is HTML with status 200)."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        tokens = self.context.workspace.tokens
        state = self.context.workspace.bot_token_state(token)
        is_allowed = state == "valid" and token not in tokens["revoked"]
        if not is_allowed or "files:read" not in self.context.workspace.app.scopes:
            return RedirectResponse("/signin", status_code=302)
        file_id = request.path_params["file"].split("/")[0].split("-")[-1]
        return self._content(file_id)

    async def picture(self, request: Request) -> Response:
        """A file for a person's page."""
        return self._content(request.path_params["file_id"])

    def _content(self, file_id: str) -> Response:
        record = self.context.workspace.files.get(file_id)
        content = self.context.workspace.store.content(file_id)
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
        """Stream what happens to one person's page."""
        user = socket.query_params.get("user", "")
        if user not in self.context.workspace.users or not same_origin(socket):
            await socket.close(code=1008)
            return
        await socket.accept()
        queue = self.context.live.watch(user)
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
            self.context.live.unwatch(queue)
            reader.cancel()

    async def sweep(self) -> None:
        """Remove expired status lines."""
        while True:
            await self.context.workspace.clock.sleep(5)
            clear_expired(self.context)


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
