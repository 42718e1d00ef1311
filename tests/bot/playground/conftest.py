"""A workspace and a small real bolt app against it, over Socket Mode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.playground import Person, Playground
from bot.playground.patience import Patience

SCOPES = (
    "app_mentions:read assistant:write chat:write commands im:history im:read im:write channels:history "
    "channels:read groups:history groups:read reactions:read reactions:write files:read files:write "
    "users:read"
)
MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Trainwise"},
    "features": {
        "agent_view": {
            "agent_description": "Ask",
            "suggested_prompts": [{"title": "One", "message": "Do it?"}],
        },
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
        "bot_user": {"display_name": "trainwise"},
        "slash_commands": [{"command": "/finetune", "description": "Train", "should_escape": True}],
        "shortcuts": [
            {"name": "Ask about this", "type": "message", "callback_id": "ask", "description": "?"}
        ],
    },
    "oauth_config": {"scopes": {"bot": SCOPES.split()}},
    "settings": {
        "event_subscriptions": {
            "bot_events": [
                "app_mention",
                "message.channels",
                "message.im",
                "app_home_opened",
                "agent_session_stopped",
            ]
        },
        "interactivity": {"is_enabled": True},
    },
}


def until(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first true answer of `check`, or a failure after the deadline."""
    patience = Patience(seconds)
    while not (match := check()):
        assert not patience.is_over(), f"nothing happened in {patience}"
        time.sleep(0.02)
    return match


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk honours HTTP_PROXY and ignores NO_PROXY."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def playground() -> Iterator[Playground]:
    with Playground(MANIFEST) as running:
        yield running


@pytest.fixture
def client(playground: Playground) -> WebClient:
    return WebClient(token=playground.bot_token, base_url=playground.api_url)


@pytest.fixture
def maya(playground: Playground) -> Person:
    return Person(playground.url, "maya", timeout=10)


@pytest.fixture
def app(playground: Playground, client: WebClient) -> App:
    return App(client=client, signing_secret=playground.signing_secret)


@pytest.fixture
def connect(playground: Playground, app: App) -> Iterator[Callable[[], SocketModeHandler]]:
    """Connects the app; what is connected is closed at the end."""
    handlers: list[SocketModeHandler] = []

    def connect_app() -> SocketModeHandler:
        handler = SocketModeHandler(app, playground.app_token)
        handler.connect()
        handlers.append(handler)
        until(lambda: playground.state()["sockets"] == len(handlers))
        return handler

    yield connect_app
    for handler in handlers:
        try:
            handler.close()
        except AttributeError:  # slack_sdk 3.47 races with its own reconnect in Connection.disconnect
            continue
