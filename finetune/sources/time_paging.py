"""Paging by time: the next page starts at the last row's change time, so a ticket that changes meanwhile shifts nothing."""

from __future__ import annotations

from finetune.sources.contract import Cursor, SourceError

OVERLAP_S = 1.0  # `since` may or may not include its own second
MAX_PAGES = 300  # that Freshdesk gives of one query


def next_cursor(cursor: Cursor, until: float | None, is_last: bool) -> Cursor:
    """The cursor after a page whose newest change is `until`: a later time, or the next page of the same second."""
    since, page = float(cursor["since"]), int(cursor["page"])
    onward = max(since, until - OVERLAP_S) if until is not None else since
    if onward > since or is_last:
        return {"since": onward, "page": 1}
    if page >= MAX_PAGES:
        raise SourceError(
            f"More than {MAX_PAGES * 100:,} tickets changed within one second (an import or a bulk edit), which this API cannot list. "
            "Export that time as a file and add it, then pull with --since a later day."
        )
    return {"since": since, "page": page + 1}
