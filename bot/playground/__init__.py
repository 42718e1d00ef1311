"""The local workspace: a server on 127.0.0.1 that speaks Slack's protocols, and a web page that looks like
Slack."""

from bot.playground.client.person import Person
from bot.playground.playground import Playground

__all__ = ["Person", "Playground"]
