"""The model hub, over its real wire: base models fetched, finished models pushed, and each refusal in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.finetune.tiny import save_causal
from tests.hub_server import Account, Hub
from tests.terminal import ROOT, error_of, trainwise

pytestmark = pytest.mark.integration
TOKEN, READ_ONLY = "hf_writeseverything1", "hf_readsonly00000001"
OWNED = "open('owned', 'w')"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model as a hub would hand it out."""
    return save_causal(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def hub(llama: Path) -> Iterator[Hub]:
    """A hub with two accounts and a handful of repositories."""
    running = Hub()
    running.accounts = {
        TOKEN: Account("me", reads=("org/gated",)),
        READ_ONLY: Account("reader", writes=False),
    }
    running.put("org/tiny", llama)
    running.put("org/gated", llama, gate=True)
    running.put("org/private", llama, private=True)
    yield running
    running.stop()


@pytest.fixture
def job(tmp_path: Path, llama: Path) -> Path:
    """The folder of a job that ended with a model and its card (the weights are the base's own)."""
    import shutil

    folder = tmp_path / "runs" / "job1"
    shutil.copytree(llama, folder / "model")
    card = {"task": "reply", "method": "full", "base_model": "org/tiny"}
    (folder / "model" / "trainwise.json").write_text(json.dumps(card))
    (folder / "MODEL_CARD.md").write_text("---\nlibrary_name: transformers\ntags: [trainwise]\n---\n# Card\n")
    return folder


def python(code: str, env: dict[str, str], *words: str) -> str:
    """What a program printed that uses the hub as `env` says."""
    process = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


PROBE = """
import sys
from finetune.errors import BaseModelError
from finetune.training.base_models import load_causal, pin_commit, probe
for name in sys.argv[1:]:
    try:
        probe(name)
        print(type(load_causal(name)[0]).__name__, pin_commit(name))
    except BaseModelError as error:
        print(error)
"""


FETCH = """
import os
import sys
from finetune.errors import BaseModelError
from finetune.training.base_models import locate
for word in sys.argv[1:]:
    name, _, os.environ["HF_TOKEN"] = word.partition("@")
    try:
        print(locate(name))
    except BaseModelError as error:
        print(error, "Again later." if error.retryable else "")
"""


def test_base_models_come_from_the_hub_or_are_refused_in_words(hub: Hub, tmp_path: Path) -> None:
    """One is fetched; gated, private, missing, pickled, in need of its own code or no model: each says so."""
    unsafe = hub.put("org/pickled")
    hub.add(unsafe, "config.json", hub.repositories["org/tiny"].files["config.json"])
    hub.add(unsafe, "pytorch_model.bin", f'c__builtin__\nexec\n(S"{OWNED}"\ntR.'.encode())
    code = hub.put("org/code")
    code.files |= hub.repositories["org/tiny"].files
    config = json.loads(code.files["config.json"]) | {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.C"},
    }
    hub.add(code, "config.json", json.dumps(config).encode())
    hub.add(code, "mine.py", OWNED.encode())
    hub.put("org/words")
    here, absent = (f"org/tiny@{commit}" for commit in (hub.repositories["org/tiny"].head, "0" * 40))
    names = ("org/tiny", "org/gated", "org/private", "org/absent", "org/pickled", "org/code", "org/words")
    names += (here, absent)
    errors = dict(zip(names, python(PROBE, hub.env(tmp_path), *names).splitlines(), strict=True))
    assert errors["org/tiny"] == errors[here] == f"LlamaForCausalLM {here}"
    assert f"The hub has no commit `{'0' * 40}` of `org/tiny`" in errors[absent]
    assert "`org/gated` is gated: accept its licence on the hub, then set HF_TOKEN" in errors["org/gated"]
    for repo in ("org/private", "org/absent"):
        assert f"The hub has no base model `{repo}`, or it is private" in errors[repo]
    assert "`org/pickled` has no safetensors weights, and pickled ones are refused" in errors["org/pickled"]
    assert "`org/code` needs code from its own repository, which is never run" in errors["org/code"]
    assert "`org/words` on the hub is no base model" in errors["org/words"]
    assert not [path for _, path, _ in hub.calls if path.endswith((".py", ".bin"))]


def test_a_fetched_base_serves_while_the_hub_is_away_and_a_wrong_token_is_named(
    hub: Hub, tmp_path: Path
) -> None:
    """Once here it is used at once; what never came says where to look; a bad token is not called damage."""
    words = ("org/tiny@hf_nobody", f"org/gated@{TOKEN}", "org/tiny")
    wrong, gate, tiny = python(FETCH, hub.env(tmp_path), *words).splitlines()
    assert "does not know the token in HF_TOKEN" in wrong
    assert "Again later" not in wrong
    assert gate.endswith(hub.repositories["org/gated"].head)
    hub.stop()
    assert python(FETCH, hub.env(tmp_path), "org/tiny", "org/other").splitlines() == [
        tiny,
        "`org/other` is not on this machine and the model hub cannot be reached. Check the name and the network, "
        "unset HF_HUB_OFFLINE if it is set, or give the path of a local folder. Again later.",
    ]


RUN = """
import json
import sys
from pathlib import Path
from finetune.serving.export import export
from finetune.errors import BaseModelError, Stopped
from finetune.pipeline import run
from finetune.serving.predict import try_both
from tests.finetune.tiny import recipe, tickets
folder, stop = Path(sys.argv[1]), sys.argv[2:]
heard = []
spec = recipe(method="lora", base_model="org/tiny", epochs=2)
def asked():
    return stop[0] if stop and (folder / "base.txt").is_file() else None
try:
    report = run(spec, tickets(60), folder, heard.append, asked)
except Stopped:
    print("stopped")
except BaseModelError as error:
    print(error)
else:
    exported = export(folder, folder / "out")[0].parent
    kept = json.loads((exported / "adapter_config.json").read_text())
    print(report["provenance"]["base_model_commit"], report["spec"]["base_model"])
    print(kept["base_model_name_or_path"], kept["revision"])
    print(next(line for line in (folder / "MODEL_CARD.md").read_text().splitlines() if "--base-model" in line))
    print(try_both(folder, "I was charged twice").after.name)
"""


def test_a_run_and_its_adapter_stay_with_the_commit_they_began_with(
    hub: Hub, llama: Path, tmp_path: Path
) -> None:
    """The hub publishes other weights meanwhile: the resumed run, its card, the export and a try know the first ones."""
    tiny = hub.repositories["org/tiny"]
    first = tiny.head
    env = hub.env(tmp_path)
    run = str(tmp_path / "run")
    assert python(RUN, env, run, "cancel").split() == ["stopped"]
    tiny.files = tiny.files | {"model.safetensors": b"other weights", "config.json": b"{}"}
    hub.put("org/tiny")
    base, adapter, repeat, answer = python(RUN, env, run).splitlines()
    assert base == f"{first} org/tiny"
    assert adapter == f"org/tiny {first}"
    assert f"--base-model org/tiny@{first} " in repeat
    assert answer == "tuned, lora"
    assert "`org/tiny`" in python(RUN, env, str(tmp_path / "new"))  # the newest commit is no model any more


@pytest.mark.parametrize("without_xet", ["0", "1"])
def test_a_pushed_model_comes_back_the_same(hub: Hub, job: Path, tmp_path: Path, without_xet: str) -> None:
    """By Xet and by Git LFS: private, with card, byte for byte; again changes nothing; the token stays here."""
    env = {**hub.env(tmp_path, TOKEN), "HF_HUB_DISABLE_XET": without_xet}
    for _ in range(2):
        process = trainwise(tmp_path, env, "export", str(job), "out", "--push", "me/support")
        assert process.returncode == 0, process.stderr
    assert f"{hub.url}/me/support" in process.stdout
    target = hub.repositories["me/support"]
    assert (target.private, target.commits) == (True, ["Trainwise export"])
    assert {"README.md", "MODEL_CARD.md", "config.json", "model.safetensors"} <= target.files.keys()
    sent_by_xet = any("/cas/v1/xorbs/" in path for _, path, _ in hub.calls)
    assert sent_by_xet == (without_xet == "0")
    assert not [
        path for _, path, token in hub.calls if token == TOKEN and path.startswith(("/cdn", "/cas", "/lfs"))
    ]
    code = "import sys; from huggingface_hub import snapshot_download as s; print(s(sys.argv[1]))"
    back = Path(python(code, {**env, "HF_HOME": str(tmp_path / "fresh")}, "me/support").strip())
    for path in target.files:
        assert (back / path).read_bytes() == (tmp_path / "out" / path).read_bytes()
    assert TOKEN not in process.stdout + process.stderr
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]


REFUSED = {
    ("hf_nobody00000000001", "me/support"): "The hub does not know this token",
    (READ_ONLY, "reader/support"): "This token may not write to `reader/support`",
    (TOKEN, "org/tiny"): "This token may not write to `org/tiny`",
    (TOKEN, "no name"): "`no name` is no name for a model: write it as owner/name",
}
PUSH = """
import sys
from pathlib import Path
from finetune.serving.export import push
from finetune.errors import ExportError
for token, name in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        print(push(Path(sys.argv[1]), name, token))
    except ExportError as error:
        print(error)
"""


def test_a_push_that_may_not_be_says_why(hub: Hub, job: Path, tmp_path: Path) -> None:
    """No token, one that the hub does not know, one without write access, another's name, no name."""
    process = trainwise(tmp_path, hub.env(tmp_path), "export", str(job), "out", "--push", "me/support")
    assert "Set HF_TOKEN to a hub token with write access" in error_of(process)
    words = [word for case in REFUSED for word in case]
    output = python(PUSH, hub.env(tmp_path), str(job / "model"), *words)
    for line, reason in zip(output.splitlines(), REFUSED.values(), strict=True):
        assert reason in line
    assert "hf_" not in output


@pytest.mark.parametrize(("without_xet", "dies_at"), [("0", "/cas/v1/shards"), ("1", "/commit/")])
def test_a_hub_that_dies_halfway_shows_nothing_half_and_takes_the_next_push(
    hub: Hub, job: Path, tmp_path: Path, without_xet: str, dies_at: str
) -> None:
    """The first push says that it broke off; the same command then ends well and sends the weights no second time."""
    env = {**hub.env(tmp_path, TOKEN), "HF_HUB_DISABLE_XET": without_xet}
    command = ("export", str(job), "out", "--push", "me/support")
    hub.dies_at = dies_at
    assert "push again: what arrived is not sent twice" in error_of(trainwise(tmp_path, env, *command))
    assert hub.repositories["me/support"].files == {}
    hub.start()
    before = len(hub.calls)
    assert trainwise(tmp_path, env, *command).returncode == 0
    assert "model.safetensors" in hub.repositories["me/support"].files
    if without_xet == "1":
        assert not [path for _, path, _ in hub.calls[before:] if path.startswith("/lfs/")]


def test_a_hub_that_is_not_there_gets_the_export_later(hub: Hub, job: Path, tmp_path: Path) -> None:
    """The export stays; the same command, with the token from a file this time, pushes it."""
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    env = {**hub.env(tmp_path), "HF_TOKEN_FILE": str(secret)}
    command = ("export", str(job), "out", "--push", "me/support")
    hub.stop()
    assert "The model hub cannot be reached" in error_of(trainwise(tmp_path, env, *command))
    hub.start()
    assert trainwise(tmp_path, env, *command).returncode == 0


def test_a_card_that_the_hub_does_not_take_is_told(hub: Hub, job: Path, tmp_path: Path) -> None:
    """A model card with a broken head: what the hub said about it."""
    (job / "MODEL_CARD.md").write_text("---\ntags: [open\n---\n# Card\n")
    error = error_of(
        trainwise(tmp_path, hub.env(tmp_path, TOKEN), "export", str(job), "--push", "me/support")
    )
    assert "The hub does not take the model card's head: the front matter is no YAML mapping" in error


DOCTOR = """
import os
import sys
from bot.cli.app import settings
from bot.cli.doctor import hub
for name in sys.argv[1:]:
    os.environ["HF_TOKEN"], os.environ["HF_TOKEN_FILE"] = "", name
    found = hub(settings())
    print(found.level, found.detail, os.environ["HF_TOKEN"] or "-")
"""


def test_doctor_says_whether_the_hub_takes_the_token(hub: Hub, tmp_path: Path) -> None:
    """Whose it is and what it may do, refused, nobody there; a token from a file reaches the hub's library."""
    files = {}
    for token in (READ_ONLY, "hf_nobody00000000001"):
        files[token] = tmp_path / token
        files[token].write_text(token)
        files[token].chmod(0o600)
    env = {**hub.env(tmp_path), "TRAINWISE_HOME": str(tmp_path)}
    assert python(DOCTOR, env, *map(str, files.values()), "").splitlines() == [
        f"ok reader, token: read {READ_ONLY}",
        "fail refused the token (401) hf_nobody00000000001",
        "off no HF_TOKEN: open base models only, no push -",
    ]
    hub.stop()
    assert python(DOCTOR, env, str(files[READ_ONLY])).startswith("warn no answer")
