"""The connected language model: what a form may name, where the key lies, what is spent."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from bot.endpoint import Endpoint, EndpointError, EndpointStore, read_endpoint
from bot.factories import open_measurement_llm
from bot.settings import load_settings

KEY = "sk-live-7d1f0c2e9a8b4455"
FORM = {
    "base_url": "https://llm.example.eu/v1/",
    "model": "mistral-small",
    "location": "eu",
    "measurement_cap_usd": "1.50",
    "month_cap_usd": "$20",
}
NOVEMBER, DECEMBER = 1_795_900_000.0, 1_798_500_000.0


def endpoint(**changes: object) -> Endpoint:
    return read_endpoint({**FORM, **changes}, "U0ANA", NOVEMBER)


def test_a_form_becomes_an_endpoint() -> None:
    """The address without its last slash, amounts as people write them."""
    assert endpoint() == Endpoint(
        "https://llm.example.eu/v1", "mistral-small", "eu", 1.5, 20.0, "U0ANA", NOVEMBER
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", ""),
        ("base_url", "ftp://example.eu"),
        ("base_url", "llm.example.eu/v1"),
        ("base_url", "http://llm.example.com/v1"),
        ("base_url", "https://user:secret@example.eu/v1"),
        ("base_url", "https://example.eu/v1?key=1"),
        ("base_url", "http://169.254.169.254/latest/meta-data"),
        ("base_url", "http://[fe80::1]/v1"),
        ("base_url", "http://0.0.0.0:8000/v1"),
        ("base_url", "http://[broken"),
        ("model", ""),
        ("model", "a\nb"),
        ("location", "moon"),
        ("measurement_cap_usd", "free"),
        ("measurement_cap_usd", "nan"),
        ("month_cap_usd", "0"),
        ("month_cap_usd", "1"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str) -> None:
    """Each with its own sentence, and the others are not blamed."""
    with pytest.raises(EndpointError) as wrong:
        endpoint(**{field: value})
    assert set(wrong.value.problems) == {field}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:1234/v1",
        "http://10.1.2.3:8000/v1",
        "http://gpu-box:8000/v1",
    ],
)
def test_an_admin_may_name_a_machine_of_their_own(url: str) -> None:
    """Loopback, private addresses and hosts without a domain, in the clear too."""
    assert endpoint(base_url=url).base_url == url


def test_the_key_is_encrypted_under_a_key_of_its_own(tmp_path: Path) -> None:
    """Neither file alone gives it away, both are their owner's alone, and removal takes both."""
    store = EndpointStore(tmp_path)
    store.save(endpoint(), KEY)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"endpoint.json", "endpoint.key"}
    assert not any(KEY.encode() in path.read_bytes() for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert EndpointStore(tmp_path).load() == endpoint()
    assert EndpointStore(tmp_path).api_key() == KEY
    assert store.remove()
    assert not store.remove()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.load() is None


@pytest.mark.parametrize("broken", ["endpoint.json", "keys/endpoint.key"])
def test_a_damaged_file_is_told_and_costs_no_job(tmp_path: Path, broken: str) -> None:
    """The sentence says what to do; a worker goes on without prompts."""
    store = EndpointStore(tmp_path)
    store.save(endpoint(), KEY)
    (tmp_path / broken).write_text("rubbish")
    with pytest.raises(EndpointError, match="Connect it again"):
        store.api_key()
    assert open_measurement_llm(load_settings({"TRAINWISE_HOME": str(tmp_path)})) is None


def test_spending_counts_by_month_for_several_workers(tmp_path: Path) -> None:
    """Twenty threads at once lose no cent; the next month begins at nothing; a measurement gets what is left."""
    store = EndpointStore(tmp_path)
    threads = [
        threading.Thread(target=EndpointStore(tmp_path).record_spending, args=(0.95, NOVEMBER))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.spent_usd(NOVEMBER) == pytest.approx(19.0)
    assert store.spent_usd(DECEMBER) == 0
    assert store.allowance_usd(endpoint(), NOVEMBER) == pytest.approx(1.0)
    assert store.allowance_usd(endpoint(), DECEMBER) == 1.5
    store.record_spending(5, NOVEMBER)
    assert store.allowance_usd(endpoint(), NOVEMBER) == 0
    assert json.loads((tmp_path / "endpoint_spending.json").read_text()) == {"2026-11": 24.0}


def test_a_job_gets_the_connected_model(tmp_path: Path) -> None:
    """With its name and what it may spend; a server of one's own costs nothing; OPENAI_* of the machine wins."""
    home = {"TRAINWISE_HOME": str(tmp_path)}
    assert open_measurement_llm(load_settings(home)) is None
    EndpointStore(tmp_path).save(endpoint(location="local"), None)
    llm = open_measurement_llm(load_settings(home))
    assert llm is not None
    assert (llm.model, llm.spend_usd, llm.free) == ("mistral-small", 1.5, True)
    own = open_measurement_llm(
        load_settings({**home, "OPENAI_API_KEY": "sk-env", "TRAINWISE_CHAT_MODEL": "gpt-x"})
    )
    assert own is not None
    assert (own.model, own.free) == ("gpt-x", False)
