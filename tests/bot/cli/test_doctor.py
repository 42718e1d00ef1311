"""`trainwise doctor` asks the language model the way a question does and says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli.doctor import Finding, Level, chat, help_desks, platforms, workspaces
from bot.factories import connect_platforms
from bot.settings import load_settings
from bot.teams.directory import Directory, TeamRecord, open_engine
from tests.finetune.sources.wires import WIRES
from tests.platforms.huggingface_server import WIRE
from tests.platforms.ray_server import WIRE as RAY
from tests.platforms.ray_server import RayServer
from tests.platforms.sagemaker_server import WIRE as SAGEMAKER
from tests.rag.llm_script import QualifiedServer, faithful

pytestmark = pytest.mark.integration
KEY = "sk-live-3f9a77c2b1d84e55"


@pytest.fixture
def server() -> Iterator[QualifiedServer]:
    with QualifiedServer(answer=faithful, key=KEY) as running:
        yield running


def run_checks(home: Path, base_url: str, budget_s: int = 20) -> Finding:
    environ = {"TRAINWISE_HOME": str(home), "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": KEY}
    return chat(load_settings({**environ, "TRAINWISE_CHAT_TIMEOUT": str(budget_s)}))


def test_a_model_that_answers_is_told_with_its_way(server: QualifiedServer, tmp_path: Path) -> None:
    """The finding names the model and how it gives structured output."""
    assert run_checks(tmp_path, server.base_url) == Finding(
        "chat model", Level.OK, "gpt-6-luna (json_schema)"
    )
    server.always("no_json_schema")
    assert run_checks(tmp_path, server.base_url).detail == "gpt-6-luna (tools)"


@pytest.mark.parametrize(
    ("behaviour", "detail", "fix"),
    [
        ("wrong_key", "refused our key", "OPENAI_API_KEY"),
        ("stall", "did not answer in time", "its logs"),
        ("429", "no capacity", "its logs"),
        ("prose", "cannot be used", "its logs"),
        ("no_model", "does not exist", "TRAINWISE_CHAT_MODEL"),
    ],
)
def test_a_failure_names_the_setting(
    server: QualifiedServer, tmp_path: Path, behaviour: str, detail: str, fix: str
) -> None:
    """Each failure says what happened and where to look, without the key."""
    server.always(behaviour)
    match = run_checks(tmp_path, server.base_url, 2 if behaviour == "stall" else 20)
    assert match.level is Level.FAIL
    assert detail in match.detail
    assert fix in match.fix
    assert KEY not in str(match)


def test_no_model_is_no_failure(tmp_path: Path) -> None:
    """Without a key or a server the check is off."""
    assert chat(load_settings({"TRAINWISE_HOME": str(tmp_path)})).level is Level.OFF


def test_a_machine_that_cannot_measure_what_comes_back_is_told_before_a_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install, and the setting with which the container measures instead; then nothing is missing."""
    monkeypatch.setattr("bot.factories.missing_modules", lambda extra: ["torch"] if extra == "train" else [])
    standin = WIRE.server(lambda: 1_800_000_000.0)
    try:
        environ = WIRE.values(standin, str(tmp_path))
        _, finding = platforms(load_settings(environ))
        assert finding.level is Level.WARN
        assert "trainwise[train]" in finding.fix
        assert "TRAINWISE_HELD_OUT=platform" in finding.fix
        (finding,) = platforms(load_settings({**environ, "TRAINWISE_HELD_OUT": "platform"}))
        assert finding.level is Level.OK
    finally:
        standin.close()


def test_a_platform_s_bucket_is_read_too_and_a_missing_setting_is_named(tmp_path: Path) -> None:
    """A place of the runs that does not work shows here, not as a job that is being submitted for ever."""
    standin = WIRE.server(lambda: 1_800_000_000.0)
    try:
        environ = {"TRAINWISE_HOME": str(tmp_path), **WIRE.values(standin, str(tmp_path / "runs"))}
        assert platforms(load_settings(environ))[0].level is Level.OK
        (tmp_path / "file").write_text("no folder")
        (finding,) = platforms(load_settings({**environ, "TRAINWISE_HF_RUNS_URL": str(tmp_path / "file")}))
        assert (finding.level, "place of the runs" in finding.detail) == (Level.FAIL, True)
        (finding,) = platforms(load_settings({**environ, "HF_TOKEN": ""}))
        assert (finding.level, "HF_TOKEN" in finding.detail) == (Level.WARN, True)
    finally:
        standin.close()


def test_a_cluster_that_answers_without_a_token_is_refused(tmp_path: Path) -> None:
    """Whoever reaches it can run code there; with the token demanded it is fine."""
    standin = RayServer(lambda: 1_800_000_000.0)
    try:
        environ = {"TRAINWISE_HOME": str(tmp_path), **RAY.values(standin, str(tmp_path / "runs"))}
        assert platforms(load_settings(environ))[0].level is Level.OK
        standin.is_open = True
        (finding,) = platforms(load_settings(environ))
        assert (finding.level, "answers without a token" in finding.detail) == (Level.FAIL, True)
    finally:
        standin.close()


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_SAGEMAKER", "TRAINWISE_SAGEMAKER_REGION"])
def test_a_mistyped_address_of_a_platform_does_not_keep_the_bot_from_starting(
    tmp_path: Path, name: str
) -> None:
    """The platform is left out; the doctor says what is wrong."""
    standin = SAGEMAKER.server(lambda: 0.0)
    standin.close()
    values = {
        **SAGEMAKER.values(standin, ""),
        "TRAINWISE_SAGEMAKER_RUNS_URL": str(tmp_path),
        name: "not a url",
    }
    settings = load_settings({"TRAINWISE_HOME": str(tmp_path), **values})
    assert connect_platforms(settings) == {}
    (finding,) = platforms(settings)
    assert (finding.level, "not a url" in finding.detail) == (Level.FAIL, True)


@pytest.mark.parametrize("name", sorted(WIRES))
def test_doctor_checks_a_help_desks_token(tmp_path: Path, name: str) -> None:
    """An unconfigured help desk is not listed; a refused token and a missing setting are named."""
    home = {"TRAINWISE_HOME": str(tmp_path)}
    assert help_desks(load_settings(home)) == []
    desk = WIRES[name]()
    environ = home | desk.settings()
    assert [one.level for one in help_desks(load_settings(environ))] == [Level.OK]
    token = environ[f"TRAINWISE_{name.upper()}_TOKEN"]
    desk.token = "another"
    (finding,) = help_desks(load_settings(environ))
    assert (finding.level, f"TRAINWISE_{name.upper()}_TOKEN" in finding.detail) == (Level.FAIL, True)
    assert token not in str(finding)
    desk.close()
    (finding,) = help_desks(load_settings(environ))
    assert "did not answer" in finding.detail
    if len([one for one in desk.source.variables if one.default is None]) > 1:
        (finding,) = help_desks(load_settings({**environ, f"TRAINWISE_{name.upper()}_TOKEN": ""}))
        assert finding.level is Level.WARN


@pytest.mark.parametrize(("place", "level"), [("T0NORTHWIND", Level.WARN), ("", Level.OK)])
def test_doctor_reports_admins_of_the_environment_that_have_no_effect(
    tmp_path: Path, place: str, level: Level
) -> None:
    """They apply only to the workspace from before OAuth."""
    env = {"TRAINWISE_HOME": str(tmp_path), "TRAINWISE_ADMINS": "U1", "TRAINWISE_MAY_INSTALL": "T0NORTHWIND"}
    settings = load_settings(env)
    directory = Directory(open_engine(tmp_path, settings.database_url.reveal()))
    directory.add(TeamRecord("T0NORTHWIND", "Northwind", "", False, place, 1.0))
    finding = workspaces(settings)
    assert finding.level == level
    assert ("trainwise teams set" in finding.fix) == (level == Level.WARN)
    if level is Level.OK:
        finding = workspaces(load_settings({**env, "TRAINWISE_MAY_INSTALL": ""}))
        assert (finding.level, "TRAINWISE_MAY_INSTALL" in finding.fix) == (Level.WARN, True)
