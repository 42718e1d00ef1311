"""The served model over HTTP, as clients and operators meet it: a real process, OpenAI's client, curl, and its end."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from bot.playground.patience import Patience
from finetune.serving.server.engine import Engine
from finetune.serving.server.process import Options, ServingError, serve
from finetune.serving.versions import Versions
from tests.finetune.serving.conftest import TunedJob
from tests.finetune.serving.server_process import ServerProcess, serving

pytestmark = pytest.mark.integration
KEY, NEW_KEY, SLOW_KEY = (
    "key-of-the-ticket-system-1",
    "key-of-the-ticket-system-2",
    "key-of-a-client-held-back",
)
SECRET = "zebra-crossing-4711"


@pytest.fixture(scope="module")
def home(tuned_job: TunedJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose served model `d` has one version."""
    folder = tmp_path_factory.mktemp("home")
    tuned_job.copy_place(folder / "artifacts" / "serving")
    keys = folder / "keys"
    keys.write_text(f"desk {KEY}\ndesk {NEW_KEY}\nslow {SLOW_KEY} 3\n")
    keys.chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    """One server with keys, for the tests that only ask."""
    with serving(home, "d", "--keys", str(home / "keys"), "--per-minute", "100000", key=KEY) as process:
        yield process


def test_one_ticket_and_many(server: ServerProcess) -> None:
    """A queue with its confidence, the version, and the answers in the tickets' order."""
    one = server.client.post("/v1/triage", json={"text": "I cannot sign in", "id": "4711"}).json()
    assert (one["queue"], one["answered"], one["id"], one["version"]) == ("login", True, "4711", "v1")
    rows = [{"id": n, "text": text} for n, text in enumerate(["refund my payment", "parcel is late", ""])]
    many = server.client.post("/v1/triage", json={"tickets": [*rows, "password reset"]}).json()["answers"]
    assert [row["queue"] for row in many] == ["billing", "shipping", None, "login"]
    assert "no words" in many[2]["reason"]
    assert len(many[2]["likeliest"]) == 3


def test_openai_s_client_talks_to_it(server: ServerProcess) -> None:
    """Models, a completion, a stream; a wrong key is the client's own error."""
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=NEW_KEY, max_retries=0)
    assert [model.id for model in client.models.list()] == ["d"]
    messages = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "parcel is late"}]
    answer = client.chat.completions.create(model="d", messages=messages)  # type: ignore[arg-type]
    assert answer.choices[0].message.content == "shipping"
    parts = client.chat.completions.create(model="d", messages=messages, stream=True)  # type: ignore[arg-type]
    assert "".join(part.choices[0].delta.content or "" for part in parts) == "shipping"
    unsure = client.chat.completions.create(model="d", messages=[{"role": "user", "content": "?!"}])
    assert str(unsure.choices[0].message.content).startswith("unsure: ")
    with pytest.raises(openai.AuthenticationError, match="not known here"):
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0).models.list()


def test_curl_talks_to_it(server: ServerProcess) -> None:
    """As the documentation shows it."""
    command = ["curl", "-sS", f"{server.url}/v1/triage", "-H", f"Authorization: Bearer {KEY}"]
    command += ["-d", '{"text": "charged twice"}']
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["queue"] == "billing"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "no JSON"),
        (b"[1]", 400, "one JSON object"),
        (b"[" * 100_000, 400, "no JSON"),
        (b'{"text": 7}', 400, "no string"),
        (b'{"tickets": []}', 400, "at least one"),
        (b'{"tickets": [{"id": {}, "text": "x"}]}', 400, "`id`"),
        (b'{"text": "x", "model": "other"}', 400, "one of: d"),
        (json.dumps({"tickets": ["x"] * 129}).encode(), 400, "at most 128"),
        (b'{"text": "' + b"x" * 5_000_000 + b'"}', 413, "4 MB"),
        (b'{"text": "\\ud83d hello there"}', 200, "confidence"),
        (json.dumps({"text": "I cannot sign in. " * 2_800}).encode(), 200, '"login"'),
    ],
)
def test_bad_input_gets_a_sentence(server: ServerProcess, body: bytes, status: int, words: str) -> None:
    """In the shape that OpenAI's clients read; a very long ticket is answered."""
    response = server.client.post("/v1/triage", content=body)
    assert response.status_code == status, response.text
    assert words in response.text.replace('\\"', '"')
    if status != 200:
        assert response.json()["error"]["message"]


def test_who_asks_too_often_is_told_when_to_come_back(server: ServerProcess) -> None:
    """Three tickets a minute, then 429 with Retry-After; the others are not held up."""
    headers = {"authorization": f"Bearer {SLOW_KEY}"}
    codes = [
        server.client.post("/v1/triage", json={"text": "x y"}, headers=headers).status_code for _ in range(4)
    ]
    assert codes == [200, 200, 200, 429]
    refusal = server.client.post("/v1/triage", json={"text": "x y"}, headers=headers)
    assert 1 <= int(refusal.headers["retry-after"]) <= 20
    assert server.client.post("/v1/triage", json={"text": "x y"}).status_code == 200


def test_metrics_and_probes(server: ServerProcess) -> None:
    """Probes are open, metrics are not; every family that an operator watches is there."""
    for path in ("/health", "/ready"):
        assert server.client.get(path, headers={"authorization": ""}).status_code == 200
    assert server.client.get("/metrics", headers={"authorization": ""}).status_code == 401
    server.client.post("/v1/triage", json={"text": "refund my payment"})
    text = server.client.get("/metrics").text
    for line in (
        'trainwise_requests_total{path="/v1/triage",status="200"}',
        'trainwise_answered_total{model="d",queue="billing",version="v1"}',
        'trainwise_abstained_total{model="d"',
        'trainwise_request_seconds_bucket{le="0.05",path="/v1/triage"}',
        'trainwise_confidence_bucket{le="0.9",model="d",version="v1"}',
        'trainwise_version{model="d",role="current",version="v1"} 1.0',
        "trainwise_queue_tickets 0.0",
    ):
        assert line in text


def test_no_ticket_stands_in_the_log(home: Path, server: ServerProcess) -> None:
    """Neither an answered one nor one in a bad request."""
    server.client.post("/v1/triage", json={"text": f"my order {SECRET} is late"})
    server.client.post("/v1/triage", content=f'{{"text": "{SECRET}'.encode())
    assert SECRET not in server.text


def test_a_full_queue_says_503_early(home: Path) -> None:
    """Four tickets fit; of requests with three each at the same time some are turned away at once, none fails."""
    with serving(home, "d", "--queue", "4", "--threads", "1") as process, ThreadPoolExecutor(12) as pool:
        body = {"tickets": ["parcel is late " * 40] * 3}
        responses = list(pool.map(lambda _: process.client.post("/v1/triage", json=body), range(36)))
        assert {response.status_code for response in responses} == {200, 503}
        refusal = next(response for response in responses if response.status_code == 503)
        assert refusal.headers["retry-after"] == "1"
        assert "queue is full" in refusal.text
        never = process.client.post("/v1/triage", json={"tickets": ["parcel is late"] * 5})
        assert never.status_code == 400, "five would never fit, so waiting does not help"
        assert "at most 4 tickets" in never.text


def _ask_until(process: ServerProcess, stop: threading.Event, answers: list[tuple[int, str]]) -> None:
    while not stop.is_set():
        response = process.client.post("/v1/triage", json={"text": "parcel is late"})
        answers.append((response.status_code, response.json().get("version", "")))


def test_a_new_version_takes_over_under_load_without_a_loss(home: Path, tuned_job: TunedJob) -> None:
    """The pointer moves while clients ask: every request is answered, by the old version and then by the new one."""
    versions = tuned_job.copy_place(home / "rolling" / "artifacts" / "serving")
    versions.add("v2", lambda folder: shutil.copytree(versions.folder_of("v1"), folder, dirs_exist_ok=True))
    answers: list[tuple[int, str]] = []
    with serving(home / "rolling", "d") as process:
        stop = threading.Event()
        clients = [threading.Thread(target=_ask_until, args=(process, stop, answers)) for _ in range(4)]
        for client in clients:
            client.start()
        while len(answers) < 50:
            time.sleep(0.01)
        versions.use("v2", "better")
        patience = Patience(60)
        while answers[-1][1] != "v2" and not patience.is_over():
            time.sleep(0.01)
        stop.set()
        for client in clients:
            client.join()
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {"v1", "v2"}


def test_a_version_that_breaks_goes_back_by_itself(home: Path, tuned_job: TunedJob) -> None:
    """One that does not load never answers; one that fails on tickets is taken off duty after some of them."""
    versions = tuned_job.copy_place(home / "breaking" / "artifacts" / "serving")
    for version in ("damaged", "failing"):
        versions.add(
            version, lambda folder: shutil.copytree(versions.folder_of("v1"), folder, dirs_exist_ok=True)
        )
    (versions.folder_of("damaged") / "network.onnx").write_bytes(b"nothing")
    with serving(home / "breaking", "d") as process:
        versions.use("damaged", "try")
        _wait_for(lambda: 'load_failures_total{model="d"} 1.0' in process.client.get("/metrics").text)
        assert process.client.post("/v1/triage", json={"text": "parcel"}).json()["version"] == "v1"
        versions.use("v1", "back")
        _break(versions, "failing")
        versions.use("failing", "try")
        _wait_for(lambda: process.client.get("/v1/models").json()["data"][0]["version"] == "failing")
        texts = [f"parcel is late {'please ' * 60}" for _ in range(60)]
        assert process.client.post("/v1/triage", json={"tickets": texts}).status_code == 500
        _wait_for(lambda: versions.pointer().current == "v1")
        assert versions.pointer().why.startswith("error rate")
        _wait_for(lambda: process.client.post("/v1/triage", json={"text": "parcel"}).status_code == 200)
        assert 'rollbacks_total{model="d",reason="error rate"} 1.0' in process.client.get("/metrics").text


def _break(versions: Versions, version: str) -> None:
    """Lets long tickets run beyond the positions that the encoder has: they fail, the short probe does not."""
    card = versions.folder_of(version) / "served.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"max_length": 4096}))


def _wait_for(condition: object) -> None:
    patience = Patience(60)
    while not condition():  # type: ignore[operator]
        assert not patience.is_over()
        time.sleep(0.05)


def test_on_sigterm_it_finishes_what_it_took_and_leaves(home: Path) -> None:
    """Not ready at once, every request answered until the port closes, gone within 25 s with exit code 0."""
    with serving(home, "d") as process:
        stop = threading.Event()
        losses: list[str] = []
        codes: list[int] = []

        def ask() -> None:
            while not stop.is_set():
                try:
                    codes.append(
                        process.client.post("/v1/triage", json={"tickets": ["late"] * 8}).status_code
                    )
                except Exception as error:
                    stop.set()
                    if type(error).__name__ != "ConnectError":
                        losses.append(repr(error))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        while len(codes) < 6:
            time.sleep(0.01)
        process.process.terminate()
        _wait_for(lambda: process.client.get("/ready").status_code == 503)
        began = time.monotonic()
        assert process.process.wait(25) == 0
        assert time.monotonic() - began < 25
        stop.set()
        for client in clients:
            client.join()
    assert losses == []
    assert set(codes) == {200}


def test_an_address_open_to_others_needs_keys(home: Path) -> None:
    """Refused before anything is loaded; so is a port that is taken."""
    with pytest.raises(ServingError, match="name a file of keys"):
        serve(_no_engine, Options(host="0.0.0.0"), print)
    with socket.create_server(("127.0.0.1", 0)) as holder, pytest.raises(ServingError, match="--port"):
        serve(_no_engine, Options(port=holder.getsockname()[1]), print)


def _no_engine() -> Engine:
    raise AssertionError("nothing may be loaded")
