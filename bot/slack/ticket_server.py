"""Receives tickets of other systems over HTTP: signed webhooks of Zendesk, Jira, Intercom, Freshdesk, and POST /v1/tickets.

It runs when TRAINWISE_TICKETS_PORT and TRAINWISE_TICKETS_KEYS are set, on the address of HTTP mode. The key file (mode 600)
has lines `SOURCE SECRET` (`api` for /v1/tickets); two lines of one source allow rotation. In a bot of many workspaces the lines
are `TEAM SOURCE SECRET` and the paths begin with `/teams/TEAM`, so a secret opens one workspace. A ticket goes to the watch of
the channel in the path. Answers: 401 missing or wrong signature, 413 body above 2 MB, 400 no ticket, 409 no model on duty,
410 workspace has removed the app.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import BotError
from bot.slack.http import LARGEST_BODY, run_site
from bot.slack.on_duty import clean_external_text
from bot.slack.services import Services
from bot.slack.ticket_hooks import SOURCES, ticket_from
from finetune.serving.server.body import read_body
from finetune.serving.server.keys import KeysError, private_lines
from worker.ledger import duty
from worker.teams import is_team

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

Secrets = Mapping[tuple[str, str], tuple[str, ...]]
FindServices = Callable[[str], "Services | None"]
log = logging.getLogger(__name__)


def read_secrets(file: Path, many_teams: bool = False) -> Secrets:
    """Reads the secrets by team and source; raises BotError with the wrong line's number, never with a secret.

    `many_teams`: each line names its team; else the team is "".
    """
    secrets: dict[tuple[str, str], tuple[str, ...]] = {}
    form = "`TEAM SOURCE SECRET`" if many_teams else "`SOURCE SECRET`"
    try:
        lines = list(private_lines(file, f"{form} for each"))
    except KeysError as error:
        raise BotError(str(error)) from error
    for number, line in lines:
        words = line if many_teams else ["", *line]
        if len(words) != 3 or not is_team(words[0]) or words[1] not in SOURCES or len(words[2]) < 16:
            names = ", ".join(SOURCES)
            raise BotError(f"{file} line {number}: write {form}, a source of {names}, 16 characters or more.")
        secrets[words[0], words[1]] = (*secrets.get((words[0], words[1]), ()), words[2])
    if not secrets:
        raise BotError(f"{file} holds no secret: write a line {form} for each source there.")
    return secrets


def build_ticket_site(
    find: FindServices, secrets: Secrets, clock: Callable[[], float] = time.time
) -> Starlette:
    """The site for POST /hooks/SOURCE/CHANNEL, and POST /v1/tickets/CHANNEL with `Authorization: Bearer SECRET` of `api`.

    Both also below `/teams/TEAM`; `find` returns a team's services, None for a team that has removed the app.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    async def receive(request: Request) -> Response:
        source = str(request.path_params.get("source", "api"))
        body = await read_body(request, LARGEST_BODY)
        if body is None:
            return JSONResponse({"error": "The body is larger than 2 MB."}, 413, {"connection": "close"})
        headers, now, team = dict(request.headers), clock(), str(request.path_params.get("team", ""))
        own = secrets.get((team, source), ())
        if not any(SOURCES[source].is_signed(one, headers, body, now) for one in own):
            return JSONResponse(
                {"error": "This request carries no signature or key that is known here."}, 401
            )
        try:
            key, text = ticket_from(source, json.loads(body))
        except BotError as error:
            return JSONResponse({"error": str(error)}, 400)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "The body is no JSON."}, 400)
        services = await run_in_threadpool(find, team)
        if services is None:
            return JSONResponse({"error": "This workspace has removed the app."}, 410)
        watch = duty.watch_in(services.ledger.engine, str(request.path_params["channel"]))
        if watch is None or watch.mode not in duty.AT_WORK:
            return JSONResponse(
                {"error": "No model is on duty in this channel: `/triage watch` puts one there."}, 409
            )
        is_new = duty.add_ticket(services.ledger.engine, watch.id, key, "", clean_external_text(text), now)
        if services.duty:
            services.duty.wake()
        return JSONResponse({"ticket": key, "new": is_new}, 202)

    names = [name for name in SOURCES if name != "api"]
    routes = [
        Route("/hooks/{source}/{channel}", _restrict_sources(names, receive), methods=["POST"]),
        Route("/v1/tickets/{channel}", receive, methods=["POST"]),
    ]
    return Starlette(routes=[*routes, Mount("/teams/{team}", routes=routes)])


def _restrict_sources(names: list[str], endpoint: Callable[..., object]) -> Callable[..., object]:
    """The endpoint, for these sources only; 404 for every other."""

    async def call(request: Request) -> object:
        from starlette.responses import JSONResponse

        if request.path_params["source"] not in names:
            return JSONResponse({"error": f"There are hooks for {', '.join(names)}."}, 404)
        return await endpoint(request)  # type: ignore[misc]

    return call


def start_ticket_server(
    find: FindServices, host: str, port: int, keys: Path | None, many_teams: bool = False
) -> Callable[[], None]:
    """Serves the site in a thread; returns the function that stops it. Raises BotError for a bad key file or a used address."""
    if keys is None:
        form = "`TEAM SOURCE SECRET`" if many_teams else "`SOURCE SECRET`"
        raise BotError(
            f"Tickets of other systems need TRAINWISE_TICKETS_KEYS: a file with a line {form} for each."
        )
    return run_site(build_ticket_site(find, read_secrets(keys, many_teams)), host, port)
