"""The Slack app stays sorted by feature: features know little of each other, block builders are pure."""

from __future__ import annotations

import ast

from tests.test_house import FILES, GRAPH

FEATURES = "bot.slack.features."
UI = "bot.slack.ui."
MOST_IMPORTS_BETWEEN_FEATURES = 12
IMPURE = {
    "slack_sdk",
    "slack_bolt",
    "requests",
    "httpx",
    "socket",
    "subprocess",
    "os",
    "time",
    "random",
    "threading",
}


def test_features_import_each_other_little() -> None:
    """A feature that many others need belongs below the features."""
    between = [
        f"{module} -> {other}"
        for module, others in GRAPH.items()
        for other in others
        if module.startswith(FEATURES) and other.startswith(FEATURES)
    ]
    assert len(between) <= MOST_IMPORTS_BETWEEN_FEATURES, between


def test_block_builders_get_values_and_import_nothing_that_acts() -> None:
    """Nothing under bot/slack/ui imports the services, Slack's SDK, the network, processes or the clock."""
    against = []
    for module, path in FILES.items():
        if not module.startswith(UI):
            continue
        against += [f"{module} -> {other}" for other in GRAPH[module] if other == "bot.slack.services"]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            against += [f"{module} -> {name}" for name in names if name.partition(".")[0] in IMPURE]
    assert against == []


def test_every_feature_of_the_folder_is_registered() -> None:
    """A file with `register` that nobody lists would be a feature that nobody can use."""
    from bot.slack.app import FEATURES as REGISTRY

    files = {
        module
        for module, path in FILES.items()
        if module.startswith(FEATURES) and "\ndef register(" in path.read_text()
    }
    assert {feature.__name__ for feature in REGISTRY} == files  # type: ignore[attr-defined]
