"""Handles every Web API call: token, scope, rate, planned faults, the method itself, and a log of calls."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.playground.errors import ApiError
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json
from bot.playground.web_api import (
    canvases,
    channels,
    chat,
    conversations,
    directory,
    files,
    oauth,
    outside,
    people,
    pins,
    reactions,
    scheduled,
    streams,
    usergroups,
    validation,
    views,
)
from bot.playground.web_api.calls import Method, missing_scope, parse_params
from bot.playground.web_api.method_names import OF_PEOPLE, RETIRED
from bot.playground.web_api.rates import Rates

METHODS: dict[str, Method] = {
    **canvases.METHODS,
    **channels.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **directory.METHODS,
    **files.METHODS,
    **oauth.METHODS,
    **outside.METHODS,
    **people.METHODS,
    **pins.METHODS,
    **reactions.METHODS,
    **scheduled.METHODS,
    **streams.METHODS,
    **usergroups.METHODS,
    **validation.METHODS,
    **views.METHODS,
}
FAULTS = {"500", "503", "drop", "accepted_500", "accepted_drop", "slow", "pass"}
CODE = "error:"  # and one of Slack's codes: the call is refused with it
SLOW, SLOW_S = (
    "slow:",
    1.5,
)  # and seconds that the call takes, where it is not SLOW_S; " error:CODE" may follow
SECRET_FIELDS = {"token", "client_secret", "refresh_token", "code"}


@dataclass
class Api:
    """Answers /api/{method}. `faults` holds the planned faults of the next calls of a method (see FAULTS)."""

    context: WorkspaceContext
    rates: Rates
    faults: dict[str, deque[str]] = field(default_factory=dict)
    log: deque[Json] = field(default_factory=lambda: deque(maxlen=20_000))
    calls: int = 0

    async def answer(self, request: Request) -> Response:
        """One HTTP call of the app."""
        name = request.path_params["method"]
        start = time.time()
        params, token, refusal = await read_call(request)
        fault = self._next_fault(name)
        if fault in {"500", "503"}:
            return self._log_call(name, params, {"ok": False, "error": "internal_error"}, int(fault), start)
        if fault and fault.startswith(CODE):
            body: Json = {"ok": False, "error": fault.removeprefix(CODE)}
            return self._log_call(name, params, body, 200, start)
        if fault == "drop":
            return self._drop(request, name, params, {"ok": False, "error": "(connection dropped)"}, start)
        if fault and fault.startswith("slow"):
            seconds, _, code = fault.removeprefix(SLOW).partition(" ")
            await asyncio.sleep(float(seconds) if fault.startswith(SLOW) else SLOW_S)
            if code.startswith(CODE):
                body = {"ok": False, "error": code.removeprefix(CODE)}
                return self._log_call(name, params, body, 200, start)
        body, status, headers = self._run(name, params, token, refusal)
        if status == 200 and (warning := charset_warning(request)):
            found: Any = body.get("response_metadata")
            metadata: Json = dict(found or {})
            metadata["warnings"] = [*(metadata.get("warnings") or ()), warning]
            body = {**body, "warning": ",".join(metadata["warnings"]), "response_metadata": metadata}
        if fault == "accepted_drop":
            return self._drop(request, name, params, body, start)
        if fault == "accepted_500":
            self._log_call(name, params, body, 500, start)
            return JSONResponse({"ok": False, "error": "internal_error"}, status_code=500)
        return self._log_call(name, params, body, status, start, headers)

    def _run(self, name: str, params: Json, token: str, refusal: str) -> tuple[Json, int, dict[str, str]]:
        try:
            if refusal:
                raise ApiError(refusal)
            method = _method_named(name)
            self._authorise(method, token)
            wait = self.rates.take(name, method.per_minute, str(params.get("channel") or "") or None)
            if wait:
                return {"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(wait)}
            return (
                {"ok": True, **method.run(self.context, parse_params(params))},
                200,
                self._scope_headers(method),
            )
        except ApiError as error:
            return error.body(), 200, {}

    def _authorise(self, method: Method, token: str) -> None:
        tokens = self.context.workspace.tokens
        if method.token == "none":  # noqa: S105
            return
        if not token:
            raise ApiError("not_authed")
        if token in tokens["revoked"]:
            raise ApiError("token_revoked")
        bot_state = self.context.workspace.bot_token_state(token)
        if bot_state == "token_expired":
            raise ApiError(bot_state)
        kind = "bot" if bot_state else "app" if token == tokens["app"] else ""
        if not kind:
            raise ApiError("invalid_auth")
        if kind != method.token:
            raise ApiError("not_allowed_token_type")
        if method.scopes and not self.context.workspace.app.scopes & set(method.scopes):
            raise missing_scope(self.context, method.scopes[0])

    def _scope_headers(self, method: Method) -> dict[str, str]:
        have = ",".join(sorted(self.context.workspace.app.scopes))
        return {"x-oauth-scopes": have, "x-accepted-oauth-scopes": ",".join(method.scopes)}

    def _next_fault(self, name: str) -> str | None:
        for key in (name, "*"):
            queue = self.faults.get(key)
            if queue:
                return queue.popleft()
        return None

    def _log_call(
        self,
        name: str,
        params: Json,
        body: Json,
        status: int,
        start: float,
        headers: dict[str, str] | None = None,
    ) -> Response:
        self.calls += 1
        public = {key: value for key, value in params.items() if key not in SECRET_FIELDS}
        took = round((time.time() - start) * 1000, 1)
        entry = {
            "n": self.calls,
            "at": start,
            "method": name,
            "params": public,
            "response": body,
            "ms": took,
        }
        self.log.append({**entry, "status": status})
        return JSONResponse(body, status_code=status, headers=headers)

    def _drop(self, request: Request, name: str, params: Json, body: Json, start: float) -> Response:
        self._log_call(name, params, body, 0, start)
        return BrokenResponse(request)


def _method_named(name: str) -> Method:
    """The method, or Slack's error code for why a bot cannot call it."""
    if name in METHODS:
        return METHODS[name]
    if name in RETIRED:
        raise ApiError("method_deprecated")
    if name in OF_PEOPLE or name.startswith("admin."):
        raise ApiError("not_allowed_token_type")
    raise ApiError("unknown_method", req_method=name)


class BrokenResponse(Response):
    """Hangs up without an answer, as a broken network does."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._receive = request.receive

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Cut the TCP connection; a server that hides its transport gets a 500 instead."""
        transport = getattr(getattr(self._receive, "__self__", None), "transport", None)
        if transport is None:
            await JSONResponse({"ok": False, "error": "internal_error"}, status_code=500)(
                scope, receive, send
            )
            return
        transport.abort()


def charset_warning(request: Request) -> str:
    """Slack's warning about a body's content type: JSON has to name its charset, a form needs none."""
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("application/json") and "charset" not in kind:
        return "missing_charset"
    return "superfluous_charset" if kind.startswith("application/x-www-form") and "charset" in kind else ""


async def read_call(request: Request) -> tuple[Json, str, str]:
    """Arguments and token of a call, from JSON, form, multipart or query, and Slack's error code where the body is broken."""
    params: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    raw = await request.body()
    refusal = ""
    if kind.startswith("application/json") and raw.strip():
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        refusal = "" if isinstance(body, dict) else "invalid_json"
        params |= body if isinstance(body, dict) else {}
    elif kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")) and raw:
        try:
            params |= {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
        except HTTPException:
            refusal = "invalid_form_data"
    elif raw and request.method == "POST":
        refusal = "invalid_post_type" if kind else "missing_post_type"
    bearer = request.headers.get("authorization", "")
    if bearer.lower().startswith("basic "):  # oauth.v2.access names the app so
        with suppress(ValueError):
            client_id, _, client_secret = base64.b64decode(bearer[6:]).decode().partition(":")
            params |= {"client_id": client_id, "client_secret": client_secret}
    token = bearer[7:] if bearer.lower().startswith("bearer ") else str(params.get("token") or "")
    return params, token, refusal


def open_connection(context: WorkspaceContext, params: Json) -> Json:
    """apps.connections.open: a WebSocket address with a single-use ticket."""
    url = context.workspace.base_url.replace("http", "ws", 1)
    return {"url": f"{url}/link/?ticket={context.sockets.ticket()}&app_id={params.get('app_id', '')}"}


def authorizations(context: WorkspaceContext, params: Json) -> Json:
    """apps.event.authorizations.list: the installations that an event is for, by the context that came with it."""
    if not params.get("event_context"):
        raise ApiError("missing_event_context")
    for body in context.outbox.envelopes.values():
        if body["event_context"] == params["event_context"]:
            return {"authorizations": body["authorizations"], "response_metadata": {"next_cursor": ""}}
    raise ApiError("invalid_event_context")


METHODS["apps.event.authorizations.list"] = Method(authorizations, token="app")  # noqa: S106
METHODS["apps.connections.open"] = Method(open_connection, token="app", per_minute=60)  # noqa: S106
