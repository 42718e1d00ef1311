"""A request's body up to a limit, however it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request, most: int) -> bytes | None:
    """The body, or None once it is larger than `most` bytes: what was announced and what came both count."""
    announcement = request.headers.get("content-length", "0")
    if not announcement.isdigit() or int(announcement) > most:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
