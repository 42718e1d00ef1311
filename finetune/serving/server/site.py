"""The routes of a served model. Every error is `{"error": {"message", "type"}}`, as OpenAI's clients read it.

Covers: no or a wrong key (401), too many requests (429 with Retry-After), a full queue (503 with Retry-After), a body above 4 MB
(413), what is no ticket (400). Logs hold path, status, time and the key's name, never a ticket.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.serving.answers import Answer, Draft
from finetune.serving.server.body import read_body
from finetune.serving.server.engine import Busy, Engine, ModelFailure, Reply
from finetune.serving.server.keys import AccessControl
from finetune.serving.server.requests import (
    BadRequest,
    TriageRequest,
    read_chat,
    read_json,
    read_triage,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

LARGEST_BODY = 4 * 2**20
log = logging.getLogger("trainwise.serve")
Read = Callable[[Any, Any], TriageRequest]
Endpoint = Callable[["Request"], Awaitable["Response"]]


@dataclass
class State:
    """Whether the server is shutting down; then it is not ready, and every answer closes its connection."""

    leaving: bool = False


class Refusal(Exception):
    """A request that gets an error: status, words for the client, and seconds to wait where that helps."""

    def __init__(self, status: int, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.status, self.wait_s = status, wait_s


def build_site(engine: Engine, access: AccessControl, state: State) -> Starlette:
    """The site over an engine; `state` is shared with whoever ends the process."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    names = list(engine.slots)

    async def triage(request: Request) -> Response:
        question = read_triage(read_json(await _body(request)), names)
        if len(question.tickets) > engine.most_waiting:
            raise BadRequest(f"This server takes at most {engine.most_waiting} tickets in one request.")
        _hold_to_limit(request, access, len(question.tickets))
        if engine.writes(question.model):
            raise BadRequest(f"`{question.model}` writes replies: ask it at /v1/chat/completions.")
        replies = await engine.answer(question.model, question.tickets)
        rows = [
            {"id": ticket.id, "model": question.model, "version": reply.version, **reply.answer.to_json()}
            for ticket, reply in zip(question.tickets, replies, strict=True)
            if isinstance(reply.answer, Answer)
        ]
        return JSONResponse({"answers": rows} if question.many else rows[0])

    async def chat(request: Request) -> Response:
        question = read_chat(read_json(await _body(request)), names)
        _hold_to_limit(request, access, 1)
        reply = (await engine.answer(question.model, question.tickets))[0]
        completion = completion_of(question, reply, int(time.time()))
        if question.stream:
            return StreamingResponse(iter(chunks_of(completion)), media_type="text/event-stream")
        return JSONResponse(completion)

    async def models(request: Request) -> Response:
        rows = [
            {
                "id": name,
                "object": "model",
                "created": int(one.pointer.at),
                "owned_by": "trainwise",
                "version": one.pointer.current,
            }
            for name, one in engine.slots.items()
        ]
        return JSONResponse({"object": "list", "data": rows})

    async def metrics(_request: Request) -> Response:
        return Response(engine.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def route(path: str, endpoint: Endpoint, method: str) -> Route:
        return Route(path, _guard(path, endpoint, engine, access, state), methods=[method])

    return Starlette(
        routes=[
            route("/v1/triage", triage, "POST"),
            route("/v1/chat/completions", chat, "POST"),
            route("/v1/models", models, "GET"),
            route("/metrics", metrics, "GET"),
            *probes(state),
        ]
    )


def probes(state: State) -> list[Route]:
    """`/health` says that the process lives, `/ready` that it takes tickets: 503 once it is leaving. Both without a key."""
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        headers = {"connection": "close"} if state.leaving else {}
        return PlainTextResponse(
            "leaving\n" if state.leaving else "ready\n", 503 if state.leaving else 200, headers
        )

    return [Route("/health", health), Route("/ready", ready)]


def _guard(path: str, endpoint: Endpoint, engine: Engine, access: AccessControl, state: State) -> Endpoint:
    """The endpoint behind its key, with its errors as answers, counted and logged."""

    async def call(request: Request) -> Response:
        began = time.perf_counter()
        owner = access.owner(request.headers)
        request.state.owner = owner
        try:
            if owner is None:
                raise Refusal(401, "This key is not known here. Send `Authorization: Bearer KEY`.")
            response = await endpoint(request)
        except Refusal as refusal:
            response = refuse(refusal)
        except BadRequest as error:
            response = refuse(Refusal(400, str(error)))
        except Busy as error:
            response = refuse(Refusal(503, str(error), 1.0))
        except ModelFailure as error:
            response = refuse(Refusal(500, str(error)))
        seconds = time.perf_counter() - began
        engine.metrics.requests.labels(path, str(response.status_code)).inc()
        engine.metrics.latency.labels(path).observe(seconds)
        if state.leaving:
            response.headers["connection"] = "close"
        name = owner.name if owner else "-"
        log.debug("%s %d %.1f ms %s", path, response.status_code, 1000 * seconds, name)
        return response

    return call


def refuse(refusal: Refusal) -> Response:
    """The refusal as a response."""
    from starlette.responses import JSONResponse

    kinds = {
        401: "authentication_error",
        429: "rate_limit_error",
        503: "overloaded_error",
        500: "server_error",
    }
    kind = kinds.get(refusal.status, "invalid_request_error")
    headers = {"retry-after": str(max(1, math.ceil(refusal.wait_s)))} if refusal.wait_s else {}
    if refusal.status == 413:
        headers["connection"] = "close"
    body = {"error": {"message": str(refusal), "type": kind, "code": None, "param": None}}
    return JSONResponse(body, refusal.status, headers)


def _hold_to_limit(request: Request, access: AccessControl, tickets: int) -> None:
    """Count the tickets against the limit of the key's owner; Refusal says how long to wait."""
    owner = request.state.owner
    if owner is not None and (wait := access.wait_s(owner, tickets)):
        raise Refusal(
            429,
            f"{owner.name} may send {owner.per_minute:g} tickets a minute. Wait {math.ceil(wait)} s.",
            wait,
        )


async def _body(request: Request) -> bytes:
    """The request's body; Refusal once it is larger than LARGEST_BODY."""
    body = await read_body(request, LARGEST_BODY)
    if body is None:
        raise Refusal(
            413, f"The body is larger than {LARGEST_BODY // 2**20} MB. Send fewer or shorter tickets."
        )
    return body


def completion_of(question: TriageRequest, reply: Reply, now: int) -> dict[str, Any]:
    """OpenAI's chat completion: the reply that was written; or the queue alone, or `unsure: A, B or C`, and `triage` with it all."""
    answer = reply.answer
    if isinstance(answer, Draft):
        reason = "length" if answer.is_cut else "stop"
        return _completion(question, reply, now, answer.text, (answer.tokens, answer.length), reason)
    names = [name for name, _ in answer.likeliest]
    unsure = f"unsure: {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"unsure: {names[0]}"
    text = answer.queue if answer.queue is not None else unsure
    return _completion(question, reply, now, text, (answer.tokens, 1)) | {"triage": answer.to_json()}


def _completion(
    question: TriageRequest, reply: Reply, now: int, text: str, tokens: tuple[int, int], reason: str = "stop"
) -> dict[str, Any]:
    """The envelope around a text, with the tokens read and written."""
    message = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{question.tickets[0].id}",
        "object": "chat.completion",
        "created": now,
        "model": question.model,
        "system_fingerprint": reply.version,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }


def chunks_of(completion: dict[str, Any]) -> list[str]:
    """The same as the events of a stream."""
    head = {name: completion[name] for name in ("id", "created", "model", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    choice = completion["choices"][0]
    parts = [
        {"delta": choice["message"], "finish_reason": None},
        {"delta": {}, "finish_reason": choice["finish_reason"]},
    ]
    events = [json.dumps({**head, "choices": [{"index": 0, **part}]}) for part in parts]
    return [f"data: {event}\n\n" for event in (*events, "[DONE]")]
