"""The environment becomes one frozen value, or one error that names every problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import Secret, SettingsError, load_settings


def test_empty_environment_gives_working_defaults(tmp_path: Path) -> None:
    """With nothing set, everything lives under the home folder and no language model is used."""
    settings = load_settings({"TRAINWISE_HOME": str(tmp_path)})
    assert settings.database_url.reveal() == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.redis_url is None
    assert settings.slack_mode == "socket"
    assert not settings.has_chat_model


def test_all_problems_come_at_once() -> None:
    """Six wrong variables give one error with six named problems."""
    wrong = {
        "SLACK_BOT_TOKEN": "xapp-oops",
        "TRAINWISE_REDIS_URL": "http://nope",
        "TRAINWISE_HTTP_PORT": "-1",
        "TRAINWISE_ADMINS": "ana",
        "TRAINWISE_MAY_INSTALL": "northwind.com",
        "TRAINWISE_SLACK_MODE": "carrier pigeon",
    }
    with pytest.raises(SettingsError) as error:
        load_settings(wrong)
    assert set(error.value.problems) == set(wrong)
    assert all(name in str(error.value) for name in wrong)


def test_secrets_never_show() -> None:
    """No token or password stands in repr, str, f-string or the error text."""
    settings = load_settings(
        {
            "SLACK_BOT_TOKEN": "xoxb-hush",
            "OPENAI_API_KEY": "sk-hush",
            "TRAINWISE_REDIS_URL": "redis://:hush@h/0",
            "TRAINWISE_DATABASE_URL": "postgresql://u:hush@h/d",
        }
    )
    assert "hush" not in repr(settings)
    assert "hush" not in f"{settings.slack_bot_token} {settings}"
    assert settings.slack_bot_token == Secret("xoxb-hush")
    with pytest.raises(SettingsError) as error:
        load_settings({"SLACK_BOT_TOKEN": "hush-not-a-token"})
    assert "hush" not in str(error.value)


def test_secret_file_must_be_private(tmp_path: Path) -> None:
    """A secret file is read when only its owner can read it, and refused with the chmod to run otherwise."""
    file = tmp_path / "token"
    file.write_text("xoxb-file\n")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_settings({"SLACK_BOT_TOKEN_FILE": str(file)})
    file.chmod(0o600)
    settings = load_settings({"SLACK_BOT_TOKEN_FILE": str(file)})
    assert settings.slack_bot_token == Secret("xoxb-file")


@pytest.mark.parametrize(
    ("mode", "missing"),
    [
        ("socket", {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}),
        ("http", {"SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"}),
    ],
)
def test_missing_slack_tokens_are_named_by_mode(mode: str, missing: set[str]) -> None:
    """Each mode asks for the credentials that it needs and says where to find them."""
    settings = load_settings({"TRAINWISE_SLACK_MODE": mode})
    with pytest.raises(SettingsError) as error:
        settings.require_slack()
    assert set(error.value.problems) == missing


def test_slack_api_over_plain_http_only_on_this_machine() -> None:
    """A token is never sent in the clear to another host."""
    assert (
        load_settings({"SLACK_API_URL": "http://127.0.0.1:9/api/"}).slack_api_url == "http://127.0.0.1:9/api/"
    )
    with pytest.raises(SettingsError, match="SLACK_API_URL"):
        load_settings({"SLACK_API_URL": "http://slack.example/api/"})
