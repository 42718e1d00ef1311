"""Tickets of other systems over HTTP: signed webhooks of Zendesk, Jira, Intercom and Freshdesk, and POST /v1/tickets.

Off unless TRAINWISE_TICKETS_PORT and TRAINWISE_TICKETS_KEYS are set; it listens on the address of HTTP mode. The file has a line
`SOURCE SECRET` for each (`api` is for /v1/tickets), two of one source for rotation, mode 600. A ticket goes to the watch of the channel in
the path. Covers: no or a wrong signature (401), a body above 2 MB (413), what is no ticket (400), no model on duty (409).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import BotError
from bot.slack.http import LARGEST_BODY, run_site
from bot.slack.on_duty import words_from_elsewhere
from bot.slack.services import Services
from bot.slack.ticket_hooks import SOURCES, ticket_from
from finetune.serving.server.body import read_body
from finetune.serving.server.keys import KeysError, private_lines
from worker.ledger import duty

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)


def read_secrets(file: Path) -> Mapping[str, tuple[str, ...]]:
    """The secrets of each source; BotError names the line that is wrong, never a secret."""
    secrets: dict[str, tuple[str, ...]] = {}
    try:
        lines = list(private_lines(file, "`SOURCE SECRET` for each"))
    except KeysError as error:
        raise BotError(str(error)) from error
    for number, words in lines:
        if len(words) != 2 or words[0] not in SOURCES or len(words[1]) < 16:
            names = ", ".join(SOURCES)
            raise BotError(
                f"{file} line {number}: write `SOURCE SECRET`, a source of {names}, 16 characters or more."
            )
        secrets[words[0]] = (*secrets.get(words[0], ()), words[1])
    if not secrets:
        raise BotError(f"{file} holds no secret: write a line `SOURCE SECRET` for each source there.")
    return secrets


def build_door(services: Services, secrets: Mapping[str, tuple[str, ...]]) -> Starlette:
    """POST /hooks/SOURCE/CHANNEL, and POST /v1/tickets/CHANNEL with `Authorization: Bearer SECRET` of `api`."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def take(request: Request) -> Response:
        source = str(request.path_params.get("source", "api"))
        body = await read_body(request, LARGEST_BODY)
        if body is None:
            return JSONResponse({"error": "The body is larger than 2 MB."}, 413, {"connection": "close"})
        headers, now = dict(request.headers), services.clock()
        if not any(SOURCES[source].is_signed(one, headers, body, now) for one in secrets.get(source, ())):
            return JSONResponse(
                {"error": "This request carries no signature or key that is known here."}, 401
            )
        try:
            key, text = ticket_from(source, json.loads(body))
        except BotError as error:
            return JSONResponse({"error": str(error)}, 400)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "The body is no JSON."}, 400)
        watch = duty.watch_in(services.ledger.engine, str(request.path_params["channel"]))
        if watch is None or watch.mode not in duty.AT_WORK:
            return JSONResponse(
                {"error": "No model is on duty in this channel: `/triage watch` puts one there."}, 409
            )
        is_new = duty.enter(services.ledger.engine, watch.id, key, "", words_from_elsewhere(text), now)
        if services.duty:
            services.duty.wake()
        return JSONResponse({"ticket": key, "new": is_new}, 202)

    names = [name for name in SOURCES if name != "api"]
    routes = [
        Route("/hooks/{source}/{channel}", _only(names, take), methods=["POST"]),
        Route("/v1/tickets/{channel}", take, methods=["POST"]),
    ]
    return Starlette(routes=routes)


def _only(names: list[str], endpoint: Callable[..., object]) -> Callable[..., object]:
    """The endpoint for these sources; 404 for every other."""

    async def call(request: Request) -> object:
        from starlette.responses import JSONResponse

        if request.path_params["source"] not in names:
            return JSONResponse({"error": f"There are hooks for {', '.join(names)}."}, 404)
        return await endpoint(request)  # type: ignore[misc]

    return call


def open_door(services: Services, host: str, port: int, keys: Path | None) -> Callable[[], None]:
    """Serves the door in a thread; gives what stops it. BotError for a file of keys that cannot be used, or a taken address."""
    if keys is None:
        raise BotError(
            "Tickets of other systems need TRAINWISE_TICKETS_KEYS: a file with a line `SOURCE SECRET` for each."
        )
    return run_site(build_door(services, read_secrets(keys)), host, port)
