"""The HTTP client of sources: pauses in each form, and a token that goes nowhere else."""

from __future__ import annotations

import pytest

from finetune.sources.contract import SourceError, refuse_wait
from finetune.sources.http import ApiClient, Login, pause_of
from tests.finetune.sources.help_desk import Answer
from tests.finetune.sources.zendesk_server import ZendeskServer

DATE = "Sun, 29 Nov 2026 12:00:00 GMT"
NOON = 1_795_953_600


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [
        (429, {"retry-after": "93"}, 93.0),
        (429, {"retry-after": "Sun, 29 Nov 2026 12:01:00 GMT", "date": DATE}, 60.0),
        (429, {"x-ratelimit-reset": str(NOON + 45), "date": DATE}, 45.0),
        (429, {"ratelimit-reset": "12"}, 12.0),
        (429, {}, 30.0),
        (429, {"retry-after": "soon"}, 30.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOON + 5), "date": DATE}, 5.0),
        (403, {"retry-after": "60"}, 60.0),
        (403, {}, None),
        (200, {"x-ratelimit-remaining": "0"}, None),
    ],
)
def test_a_pause_is_read_in_each_form(status: int, headers: dict[str, str], pause: float | None) -> None:
    """By the server's clock where it says one."""
    assert pause_of(status, headers) == pause


@pytest.mark.parametrize("url", ["http://help.example.com", "ftp://x", "help.example.com", ""])
def test_an_address_that_would_tell_the_token_is_refused(url: str) -> None:
    """Plain http is for this machine alone."""
    with pytest.raises(SourceError, match="THE_URL"):
        ApiClient("Acme", url, Login("Bearer secret", "THE_URL", "THE_TOKEN"), refuse_wait)


def test_a_redirect_to_another_place_goes_without_the_token() -> None:
    """A help desk that sends us elsewhere does not send our token along, and an error's text never holds it."""
    desk, other = ZendeskServer(), ZendeskServer()
    desk.faults = {1: Answer(302, {}, {"Location": f"{other.url}/x"})}
    desk.faults[2] = Answer(400, {"error": "bad secret-7 here"})
    client = ApiClient("Acme", desk.url, Login("Bearer secret-7", "THE_URL", "THE_TOKEN"), refuse_wait)
    with pytest.raises(SourceError):
        client.get("/x")
    assert "authorization" not in other.requests[0].headers
    with pytest.raises(SourceError, match=r"bad \*\*\* here"):
        client.get("/x")
    desk.close()
    other.close()
