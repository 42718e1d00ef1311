"""An app manifest, read for what the workspace has to enforce: scopes, events, commands, shortcuts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.playground.errors import PlaygroundError


@dataclass(frozen=True)
class Command:
    """One slash command as people see it in the completion list."""

    name: str
    description: str
    usage_hint: str
    should_escape: bool


@dataclass(frozen=True)
class Shortcut:
    """One shortcut; `kind` is "message" or "global"."""

    name: str
    description: str
    callback_id: str
    kind: str


@dataclass(frozen=True)
class AppConfig:
    """What the app may do and what it is told."""

    name: str
    bot_name: str
    description: str
    scopes: frozenset[str]
    events: frozenset[str]
    commands: dict[str, Command]
    shortcuts: dict[str, Shortcut]
    prompts: tuple[dict[str, str], ...]
    agent: bool
    home_tab: bool
    messages_tab: bool
    interactive: bool
    unfurl_domains: tuple[str, ...] = ()


def read_manifest(manifest: Mapping[str, Any]) -> AppConfig:
    """The parts of a Slack app manifest that the workspace uses; PlaygroundError lists what Slack refuses."""
    info = manifest.get("display_information") or {}
    features = manifest.get("features") or {}
    settings = manifest.get("settings") or {}
    commands = [_command(item) for item in features.get("slash_commands") or ()]
    shortcuts = [_shortcut(item) for item in features.get("shortcuts") or ()]
    agent = features.get("agent_view") or {}
    home = features.get("app_home") or {}
    problems = _problems(info, features, commands, agent)
    if problems:
        raise PlaygroundError("Slack would refuse this manifest: " + "; ".join(problems) + ".")
    return AppConfig(
        name=info["name"],
        bot_name=(features.get("bot_user") or {}).get("display_name") or info["name"],
        description=info.get("description", ""),
        scopes=frozenset(((manifest.get("oauth_config") or {}).get("scopes") or {}).get("bot") or ()),
        events=frozenset((settings.get("event_subscriptions") or {}).get("bot_events") or ()),
        commands={command.name: command for command in commands},
        shortcuts={shortcut.callback_id: shortcut for shortcut in shortcuts},
        prompts=tuple(dict(prompt) for prompt in agent.get("suggested_prompts") or ()),
        agent=bool(agent),
        home_tab=bool(home.get("home_tab_enabled")),
        messages_tab=bool(home.get("messages_tab_enabled", True)),
        unfurl_domains=tuple(str(one).lower() for one in features.get("unfurl_domains") or ()),
        interactive=bool((settings.get("interactivity") or {}).get("is_enabled")),
    )


def _command(item: Mapping[str, Any]) -> Command:
    return Command(
        name=item["command"],
        description=item.get("description", ""),
        usage_hint=item.get("usage_hint", ""),
        should_escape=bool(item.get("should_escape")),
    )


def _shortcut(item: Mapping[str, Any]) -> Shortcut:
    return Shortcut(item["name"], item.get("description", ""), item["callback_id"], item["type"])


def _problems(
    info: Mapping[str, Any], features: Mapping[str, Any], commands: list[Command], agent: Mapping[str, Any]
) -> list[str]:
    problems = []
    if not info.get("name"):
        problems.append("display_information.name is missing")
    if len(info.get("name") or "") > 35:
        problems.append("display_information.name is longer than 35 characters")
    if len(info.get("description") or "") > 140:
        problems.append("display_information.description is longer than 140 characters")
    if "agent_view" in features and "assistant_view" in features:
        problems.append("features has both agent_view and assistant_view")
    if len(agent.get("suggested_prompts") or ()) > 4:
        problems.append("agent_view.suggested_prompts has more than 4 prompts")
    if len(commands) > 50:
        problems.append("features.slash_commands has more than 50 commands")
    problems += [f"{c.name}: a command starts with /" for c in commands if not c.name.startswith("/")]
    return problems
