"""The Slack app stays sorted by feature: features know little of each other, block builders are pure."""

from __future__ import annotations

import ast

from tests.test_house import FILES, import_graph

FEATURES = "bot.slack.features."
UI = "bot.slack.ui."
MAX_IMPORTS_BETWEEN_FEATURES = 12
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
        for module, others in import_graph().items()
        for other in others
        if module.startswith(FEATURES) and other.startswith(FEATURES)
    ]
    assert len(between) <= MAX_IMPORTS_BETWEEN_FEATURES, between


def test_block_builders_get_values_and_import_nothing_that_acts() -> None:
    """Nothing under bot/slack/ui imports the services, Slack's SDK, the network, processes or the clock."""
    against = []
    for module, path in FILES.items():
        if not module.startswith(UI):
            continue
        against += [
            f"{module} -> {other}" for other in import_graph()[module] if other == "bot.slack.services"
        ]
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


BY_TEAM = {"Erasures", "FileHeads", "InspectionCache"}
"""The state that features keep in memory between payloads; each keys its entries by `services.home`, that is by team."""


def test_features_keep_nothing_between_payloads_that_teams_could_share() -> None:
    """An object made in `register`, or at the top of a file, is shared by all teams, which may have datasets of one name.

    Keep state in the ledger. State in memory needs the team's home in its key and its name in BY_TEAM.
    """
    against = []
    for module, path in FILES.items():
        if not module.startswith(FEATURES):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        registers = [
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "register"
        ]
        values = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
        for place in [*registers, *(value for value in values if value is not None)]:
            makers = {
                node.func.id
                for node in ast.walk(place)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            makers &= {
                name for name in makers if name[0].isupper() or name in ("dict", "set", "list", "defaultdict")
            }
            against += [f"{module}: {name}" for name in makers - BY_TEAM]
    assert against == []
    for name in BY_TEAM:
        holder = next(path for module, path in FILES.items() if f"class {name}:" in path.read_text("utf-8"))
        assert "services.home" in holder.read_text("utf-8"), name
