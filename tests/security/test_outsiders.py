"""What people from outside get at every door: secrets planted in documents, datasets, jobs, budgets, threads and names.

The doors are read from the code, so that a new button or form is tried here without being added. Each is used by a
guest, a stranger of another company, somebody of another workspace of the Grid, an app, an ended account and somebody
whom Slack does not tell about, in a channel where all of them are; none of what the bot sends then may hold a secret.
The same doors used by members show each secret, else the matrix would prove nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.playground.state.seed import ANA, GUS, MAYA, OTHER_TEAM, RAVI, SAM, STELLA, TEAM_ID
from bot.slack.app import FEATURES
from rag.search.embedding import MiniLM
from tests.integration.conftest import MENTION, text_of, until
from tests.integration.notifier_harness import REPORT
from tests.integration.slack_harness import Json, SlackHarness, open_slack
from worker.jobs.records import JobRequest
from worker.jobs.states import State
from worker.ledger.apply_events import apply_event
from worker.ledger.budgets import month_of, set_budget
from worker.ledger.database import writing
from worker.ledger.outbox import _pairs
from worker.transport.events import WorkerEvent

pytestmark = pytest.mark.integration
BATCH = 40  # doors used before the bot is waited for
PLACE, PARTNERS, ELSEWHERE = "C0SUPPORTML", "C0PARTNERS1", "C0GENERAL01"
GRID, GONE, APP, NOBODY = "W0GRID00001", "U0GONE00001", "U0OTHERAPP1", "U0NOBODY001"
OUTSIDE = {
    GUS: "gus",
    SAM: "sam",
    STELLA: "stella",
    GRID: "grid",
    GONE: "gone",
    APP: "otherapp",
    NOBODY: "nobody",
}
TEAMS = {STELLA: OTHER_TEAM, GRID: "T0OTHERGRID"}
SECRETS = {
    "workspace document": "four thousand and eleven zebras",
    "document title": "Zanzibar quota",
    "document of another channel": "seventeen marmots",
    "dataset name": "osprey-tickets",
    "queue name": "falconry",
    "job headline": "92.7 percent of kestrels",
    "ticket quoted by a report": "my peregrine never arrived",
    "name of a colleague": "Quillfeather",
    "month's budget": "7,431",
    "words of a private thread": "walrus",
}
QUOTA = f"# {SECRETS['document title']}\n\n## Size\n\nThe Zanzibar quota is {SECRETS['workspace document']} a year.\n"
OTHER = f"# Rodents\n\n## Count\n\nThe office keeps {SECRETS['document of another channel']} as mascots.\n"
OWN = "# Badge rule\n\n## Colour\n\nThe partner badge is turquoise on Tuesdays.\n"
QUESTIONS = (
    "How large is the Zanzibar quota?",
    "How many mascots does the office keep?",
    "What is running, and what did the osprey-tickets job say?",
    "Who can see our documents and what is our budget?",
)


@dataclass
class Plants:
    """The places of the planted secrets."""

    job: str
    wide: tuple[str, str, str]  # an answer that rests on the workspace's documents, in PLACE
    private: tuple[str, str, str]  # one in Maya's own conversation
    approval: str


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[SlackHarness]:
    """The app with documents, a dataset, jobs, a budget and threads that hold the secrets."""
    home = tmp_path_factory.mktemp("outsiders")
    with open_slack(home, embed) as running:
        yield running


@pytest.fixture(scope="module")
def plants(slack: SlackHarness) -> Plants:
    """The secrets, planted while only members read in PLACE; afterwards people from outside join."""
    return plant(slack)


def plant(slack: SlackHarness) -> Plants:
    """Every secret in one workspace, and the people from outside in its channels."""
    services, home = slack.services, slack.services.home
    for name, text, scope in (("quota.md", QUOTA, "workspace"), ("rodents.md", OTHER, f"channel:{ELSEWHERE}"),
                              ("badge.md", OWN, f"channel:{PARTNERS}")):  # fmt: skip
        (home / name).write_text(text)
        services.index.add([home / name], frozenset({scope}))
    words = [
        f"{a} {b}"
        for a in ("late", "lost", "damp", "torn", "gone", "early")
        for b in ("box", "parcel", "letter", "crate")
    ]
    rows = [f"my {pair} from the shop,{'falconry' if n % 2 else 'parcels'}" for n, pair in enumerate(words)]
    (home / "t.csv").write_text("text,label\n" + "\n".join(rows))
    services.datasets.add(home / "t.csv", SECRETS["dataset name"], RAVI, frozenset({"workspace"}), "ours")
    set_budget(services.ledger.engine, slack.team, month_of(services.clock()), 7431.0, ANA, services.clock())
    job = plant_job(slack)
    dear = services.ledger.submit(
        JobRequest("finetune", {"method": "linear"}, SECRETS["dataset name"], RAVI, "Xavier Quillfeather", slack.team,
                   PLACE, None, "dear", approval="It is dear.")
    )  # fmt: skip
    wide = question_of_maya(slack, "#support-ml", f"{MENTION} {QUESTIONS[0]}", PLACE)
    private = question_of_maya(
        slack, "@trainwise", "Should we fine-tune for walrus tickets? How large is the Zanzibar quota?"
    )
    for user, fields in (
        (GRID, {"name": "grid", "team": "T0OTHERGRID", "grid_teams": ["T0OTHERGRID"]}),
        (GONE, {"name": "gone", "deleted": True}),
        (APP, {"name": "otherapp", "is_bot": True}),
        (NOBODY, {"name": "nobody", "team": ""}),
    ):
        slack.workspace.person(user, channels=["#partners", "#support-ml"], **fields)
    for user in (GUS, SAM, STELLA):
        slack.workspace.person(user, OUTSIDE[user], channels=["#support-ml"])
    slack.settle()
    return Plants(job, wide, private, dear.id)


def plant_job(slack: SlackHarness) -> str:
    """A finished fine-tune whose report quotes a ticket."""
    ledger = slack.services.ledger
    form = {
        "method": "linear",
        "base_model": "minilm",
        "digest": slack.services.datasets.get(SECRETS["dataset name"]).digest,
    }
    job = ledger.submit(JobRequest("finetune", form, SECRETS["dataset name"], RAVI, "Xavier Quillfeather", slack.team,
                                   PLACE, None, "planted"))  # fmt: skip
    live = _pairs(ledger.engine, set(State), job.id)[0].attempt
    example = {
        "ticket": SECRETS["ticket quoted by a report"],
        "real": "falconry",
        "tuned": "parcels",
        "baseline": "x",
    }
    report = {**REPORT, "headline": f"It reads {SECRETS['job headline']} right.", "examples": [example]}
    event = WorkerEvent(job.id, live.attempt, live.fence, "run1", 1, "finished", ledger.clock(), {"report": report, "plots": {}}, "k1")  # fmt: skip
    with writing(ledger.engine) as connection:
        assert apply_event(connection, event, ledger.clock())
    return job.id


def question_of_maya(slack: SlackHarness, place: str, words: str, channel: str = "") -> tuple[str, str, str]:
    """Maya's question and the address of its answer: channel, thread and message."""
    maya = slack.person("maya")
    message = maya.say(place, words)

    def card() -> tuple[str, str, str] | None:
        thread = slack.services.ledger.thread(message["channel"], message["ts"])
        return (message["channel"], message["ts"], next(iter(thread["cards"]))) if thread else None

    answer_place: tuple[str, str, str] = until(card)
    return answer_place


def names_in_code(kind: str) -> list[str]:
    """The names that the features register for a kind of payload, read from their code."""
    names: set[str] = set()
    for feature in FEATURES:
        code = Path(str(feature.__file__)).read_text()  # type: ignore[attr-defined]
        names |= set(re.findall(rf'app\.{kind}\(\s*(?:re\.compile\(r?)?f?"([^"]+)"', code))
    verbs = (
        {"job_cancel", "job_pause", "job_resume", "job_retry", "job_finish"} if kind == "action" else set()
    )
    return sorted(names | verbs)


def concrete(pattern: str) -> list[str]:
    """Ids that a registered name or pattern matches."""
    if pattern.startswith("^(") and pattern.endswith(")$"):
        return pattern[2:-2].split("|")
    plain = re.sub(r"\\d\{1,\d\}|\\d|\[012\]|\[a-z\]\+", "1", pattern.strip("^$"))
    return (
        [plain.replace("{name}", name) for name in ("started", "documents")] if "{name}" in plain else [plain]
    )


def doors(slack: SlackHarness, plants: Plants, user: str) -> list[tuple[str, Json]]:
    """A payload for every registered name that would work for a member."""
    team = TEAMS.get(user, slack.team)
    values = (plants.job, SECRETS["dataset name"], plants.approval)
    payloads: list[tuple[str, Json]] = []
    for pattern in names_in_code("action"):
        for action in concrete(pattern):
            for place in (plants.wide, plants.private):
                value = plants.approval if "approve" in action or "reject" in action else plants.job
                value = SECRETS["dataset name"] if "dataset" in action else value
                payloads.append((f"button {action}", slack.button(user, action, value, place, team)))
    for callback in names_in_code("view"):
        for about in values:
            memory = {"channel": PLACE, "thread_ts": None, "about": about}
            form = {"dataset": SECRETS["dataset name"], "task": "triage", "method": "linear", "base_model": "minilm",
                    "text": "hello", "reason": "no", "name": "x1", "link": "https://example.org/"}  # fmt: skip
            payloads.append((f"form {callback}", slack.form(user, callback, form, memory, team)))
    words = {
        "/docs": ["", "list", "sync", "outsiders", "outsiders documents on", "add https://example.org/"],
        "/datasets": ["", "add", *(f"{verb} osprey-tickets".strip() for verb in ("", "show", "card", "check", "remove"))],
        "/jobs": ["", "mine", "all", "running", "done", "budget", "budget 5", "notify", plants.job,
                  *(f"{verb} {plants.job}" for verb in ("open", "cancel", "retry", "compare", "count"))],
        "/finetune": ["", "osprey-tickets linear epochs=2"],
        "/triage": ["", "card", "stop", f"watch <#{PLACE}|c> with {plants.job} live"],
        "/should-i-train": ["measure", "measure osprey-tickets target=92", "connect", ""],
    }  # fmt: skip
    for command, texts in words.items():
        payloads += [(f"{command} {text}", slack.command(user, command, text, PLACE, team)) for text in texts]
    for callback in names_in_code("shortcut"):
        body = slack.payload("message_action", user, team) | {"callback_id": callback, "response_url": ""}
        message = {"ts": plants.wide[1], "text": QUESTIONS[2], "files": [{"id": "F1", "name": "t.csv"}]}
        payloads.append(
            (f"shortcut {callback}", body | {"channel": {"id": PLACE, "name": "c"}, "message": message})
        )
    for tab in ("home", "messages"):
        event = {"type": "app_home_opened", "user": user, "tab": tab, "channel": "D0X", "event_ts": "1.0"}
        payloads.append((f"home {tab}", slack.event(event)))
    return payloads


def use(slack: SlackHarness, user: str, payloads: list[tuple[str, Json]]) -> dict[str, str]:
    """Everything that the bot sent, by payload: acks, and the calls until it was idle."""
    results: dict[str, str] = {}
    for at in range(0, len(payloads), BATCH):
        since, answers_before, batch = slack.calls(), len(slack.answers), payloads[at : at + BATCH]
        acks = {name: slack.send(body) for name, body in batch}
        slack.settle()
        output = slack.sent(since, answers_before)
        results |= {name: acks[name] + output for name, _ in batch}
    return results


def ask_everywhere(slack: SlackHarness, user: str, plants: Plants) -> dict[str, str]:
    """Each question by mention, in the shared channel and in one of ours, in the members' thread and directly."""
    team = TEAMS.get(user, slack.team)
    results: dict[str, str] = {}
    stamp = iter(range(1, 10**6))
    for number, question in enumerate(QUESTIONS):
        since, answers_before = slack.calls(), len(slack.answers)
        for channel, thread, kind in ((PARTNERS, "", "app_mention"), (PLACE, "", "app_mention"), (PLACE, plants.wide[1], "message"),
                                      (direct_of(user), "", "message")):  # fmt: skip
            ts = f"{1_900_000_000 + number}.{user[2:5].encode().hex()[:3]}{next(stamp):03d}"
            ts = re.sub(r"[a-f]", "9", ts)
            event: Json = {
                "type": kind,
                "user": user,
                "channel": channel,
                "text": f"{MENTION} {question}",
                "ts": ts,
            }
            event |= {"event_ts": ts, "channel_type": "im" if channel.startswith("D") else "channel"}
            event |= {"thread_ts": thread} if thread else {}
            event |= {"user_team": team, "source_team": team} if channel == PARTNERS else {}
            slack.send(slack.event(event, is_ext_shared_channel=channel == PARTNERS))
        slack.send(slack.command(user, "/should-i-train", question, PARTNERS, team))
        slack.settle()
        output = slack.sent(since, answers_before)
        for door in (
            "mention in the shared channel",
            "mention",
            "reply in the members' thread",
            "direct message",
            "command",
        ):
            results[f"{door}: {question}"] = output.replace(question, "")
    return results


def direct_of(user: str) -> str:
    return f"D0{user[2:8]}" if user in (GUS, SAM, STELLA, MAYA, RAVI, ANA) else f"D0{user[2:]}"


def leaks(results: dict[str, str]) -> list[tuple[str, str]]:
    """(payload, secret) for every secret in what the bot sent."""
    return [
        (door, name) for door, text in results.items() for name, secret in SECRETS.items() if secret in text
    ]


@pytest.mark.parametrize("user", OUTSIDE, ids=list(OUTSIDE.values()))
def test_no_secret_reaches_people_from_outside(slack: SlackHarness, plants: Plants, user: str) -> None:
    """At least 5,000 cells of person, payload and secret; no job changes and none starts."""
    before = {job.id: job.state for job in slack.services.ledger.jobs(limit=500)}
    results = use(slack, user, doors(slack, plants, user)) | ask_everywhere(slack, user, plants)
    assert leaks(results) == []
    assert len(OUTSIDE) * len(results) * len(SECRETS) >= 5_000
    assert {job.id: job.state for job in slack.services.ledger.jobs(limit=500)} == before
    assert not (slack.services.home / "feedback.jsonl").exists()


def test_people_from_outside_are_answered_from_the_guide_and_their_channel(
    slack: SlackHarness, plants: Plants
) -> None:
    """The stranger's answers use the channel's own document and the guide."""
    stella = slack.person("stella")
    for question, part in (("which colour has the partner badge on Tuesdays?", "turquoise"),
                           ("our help center changes every week, should we fine-tune on it?", "RAG")):  # fmt: skip
        message = stella.say("#partners", f"{MENTION} {question}")
        text = until(
            lambda ts=message["ts"], part=part: [
                m for m in stella.messages("#partners", ts) if part in text_of(m)
            ]
        )
        assert text


def test_members_find_each_secret_through_the_same_payloads(slack: SlackHarness, plants: Plants) -> None:
    """Ana (an admin) and Ravi (the job's requester) find them; otherwise the matrix could not fail."""
    visible: set[str] = set()
    for user in (RAVI, ANA):
        payloads = [
            (n, b)
            for n, b in doors(slack, plants, user)
            if not re.search("remove|cancel|outsiders|budget 5|compare|sync|form|approve|add|check", n)
        ]
        payloads += [("/docs elsewhere", slack.command(user, "/docs", "", ELSEWHERE))]
        visible |= {name for _, name in leaks(use(slack, user, payloads))}
    ravi = slack.person("ravi")
    for question, name in (
        (QUESTIONS[0], "workspace document"),
        (QUESTIONS[1], "document of another channel"),
    ):
        message = ravi.say("#general", f"{MENTION} {question}")
        until(
            lambda ts=message["ts"], part=SECRETS[name]: [
                m for m in ravi.messages("#general", ts) if part in text_of(m)
            ]
        )
        visible.add(name)
    wide = slack.services.ledger.thread(*plants.private[:2])
    assert wide is not None
    assert "walrus" in json.dumps(wide)
    visible.add("words of a private thread")
    assert visible == set(SECRETS)


def test_a_members_question_is_answered_from_channel_documents_only_with_external_readers(
    slack: SlackHarness, plants: Plants
) -> None:
    """The card says why; an admin may open the channel, a member may not."""
    maya, ana = slack.person("maya"), slack.person("ana")

    def answer(words: str) -> str:
        message = maya.say("#partners", f"{MENTION} {words}")
        return str(until(lambda: next((text_of(m) for m in maya.messages("#partners", message["ts"])[1:]
                                       if m.get("blocks") and m.get("streaming_state") != "in_progress"), None)))  # fmt: skip

    narrow = answer(QUESTIONS[0])
    assert SECRETS["workspace document"] not in narrow
    assert "People from outside read along" in narrow
    since = slack.calls()
    maya.command("/docs", "outsiders documents on", "#partners")
    slack.settle()
    assert "Only an admin opens" in str(slack.workspace.api_log(since))
    ana.command("/docs", "outsiders documents on", "#partners")
    assert SECRETS["workspace document"] in answer(QUESTIONS[0])
    ana.command("/docs", "outsiders documents off", "#partners")
    assert SECRETS["workspace document"] not in answer(QUESTIONS[0])


def test_a_job_in_a_channel_with_external_readers_moves_to_its_requester(
    slack: SlackHarness, plants: Plants
) -> None:
    """Its card and report go to the requester's direct messages, and nothing of it to the channel."""
    ledger, since = slack.services.ledger, slack.calls()
    job = ledger.submit(JobRequest("finetune", {"method": "linear"}, "sample-tickets", RAVI, "ravi", TEAM_ID, PARTNERS,
                                   None, "shared"))  # fmt: skip

    def places() -> set[str]:
        """The channels of all calls that name the job; Slack takes one post a second in each of them."""
        slack.notifier.work_once()
        calls = slack.workspace.api_log(since)
        return {str(call["params"].get("channel")) for call in calls if job.id in str(call["params"])}

    until(places)
    for _ in range(4):
        slack.notifier.work_once()
    texts = places()
    assert texts == {direct_of(RAVI)}


def test_a_payloads_claim_about_its_sender_can_only_reduce_rights(
    slack: SlackHarness, plants: Plants
) -> None:
    """A member's id with another team's id is refused; an outsider's id with our team's id stays outside."""
    answer = slack.send(slack.command(STELLA, "/jobs", "all", PLACE, TEAM_ID))
    assert "another company" in answer
    slack.send(slack.button(RAVI, "job_details", plants.job, plants.wide, "T0EVIL00001"))
    assert slack.services.users.person(RAVI).outside == "another company"
