"""`/datasets pull` over the real socket: the form, the schedule in the ledger, two bots, refusals, and what the channel is told.

The help desk is GitHub's wire on loopback (never run live).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.playground import Person
from bot.slack.delivery.pull_runner import PullRunner
from bot.slack.services import Services
from finetune.data.prepare import prepare
from rag.search.embedding import MiniLM
from tests.finetune.sources.github_server import GitHubServer
from tests.finetune.sources.help_desk import TOKEN, Answer, ticket
from tests.integration.conftest import CHANNEL, appears, private_reply, text_of
from tests.integration.slack_harness import SlackHarness, open_slack
from worker.ledger.pulls import Pull, all_pulls, end_pull, pull_of, set_pull, take_due

pytestmark = pytest.mark.integration
DAY = 86_400.0


@dataclass
class Case:
    """A workspace whose bot pulls, the help desk, and a second bot on the same ledger and datasets."""

    slack: SlackHarness
    desk: GitHubServer
    client: WebClient
    values: dict[str, str]

    def runner(self, name: str = "bot-1", **more: Any) -> PullRunner:
        """A bot's pull runner, as after a start."""
        options = {"preparing": lambda: nullcontext(prepare)} | more
        return PullRunner(self.slack.services, self.client, self.values, name, **options)

    def pull(self, dataset: str) -> Pull:
        """The pull in the ledger."""
        pull = pull_of(self.slack.services.ledger.engine, dataset)
        assert pull is not None
        return pull

    def make_due(self, dataset: str) -> None:
        """Makes the pull due now."""
        pull = replace(self.pull(dataset), next_at=self.slack.services.clock())
        set_pull(self.slack.services.ledger.engine, pull)

    def work(self, runner: PullRunner | None = None) -> None:
        """Runs one round of the pull runner and of the notifier."""
        (runner or self.runner()).work_once()
        self.slack.notifier.work_once()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Case]:
    """The workspace, connected to the help desk by its settings."""
    desk = GitHubServer(count=24, page=50)
    defaults = {one.name: one.default or "" for one in desk.source.variables}
    values = defaults | desk.settings()
    clients: list[WebClient] = []

    def furnish(services: Services, client: WebClient) -> Services:
        clients.append(client)
        runner = PullRunner(services, client, values, "bot-0")
        return replace(services, pulls=runner)

    with open_slack(tmp_path_factory.mktemp("pulls"), embed, furnish=furnish) as slack:
        yield Case(slack, desk, clients[0], values)
    desk.close()


@pytest.fixture
def maya(case: Case) -> Person:
    """A member."""
    return case.slack.person("maya")


FORM = {"source": "github", "project": "acme/shop", "name": "shop", "licence": "ours", "every": "day"}


def open_form(person: Person) -> dict[str, Any]:
    """The form that the command opens."""
    person.command("/datasets", "pull github acme/shop", CHANNEL)
    form = person.wait_view(title="Pull tickets")
    assert "acme/shop" in str(form["blocks"])
    return form


def order(person: Person, **fields: str) -> dict[str, Any]:
    """Submits the form."""
    return person.submit(open_form(person), FORM | fields)


def test_a_scheduled_pull_from_its_form_to_its_second_version(case: Case, maya: Person) -> None:
    """Errors are shown on their fields; the channel gets the card; a restart keeps the schedule; no change means no message."""
    form = open_form(maya)
    refusals = maya.submit(form, FORM | {"scope": "workspace", "name": "Not A Name"})["errors"]
    assert set(refusals) == {"scope", "name"}
    assert "admin" in refusals["scope"]
    reply = private_reply(maya, lambda: maya.submit(form, FORM | {"scope": "channel"}))
    assert "then every day" in reply
    first = text_of(appears(maya, case.work, "shop* has a new version, 1"))
    assert "24 new, 0 changed, 0 gone" in first
    assert "Billing" in first
    card = case.slack.services.datasets.get("shop")
    assert card.scopes[0].startswith("channel:")
    assert case.pull("shop").next_at == pytest.approx(case.slack.services.clock() + DAY, abs=120)

    case.desk.add(*[ticket(number, "Legal") for number in range(40, 44)])
    before = len(case.desk.requests)
    case.work(case.runner("bot-after-a-restart"))  # not due: not asked
    assert len(case.desk.requests) == before
    case.make_due("shop")
    text = text_of(appears(maya, lambda: case.work(case.runner("bot-after-a-restart")), "new version, 2"))
    assert "New queues: Legal (4)." in text

    case.make_due("shop")
    posts = len(maya.messages(CHANNEL))
    case.work()
    assert len(maya.messages(CHANNEL)) == posts
    assert case.pull("shop").last.startswith("Nothing new from GitHub acme/shop")
    listing = private_reply(maya, lambda: maya.command("/datasets", "pull", CHANNEL))
    assert "Nothing new from GitHub" in listing
    assert "every day" in listing
    assert TOKEN not in str(all_pulls(case.slack.services.ledger.engine))


def test_replies_are_pulled_where_the_form_asks_for_them(case: Case, maya: Person) -> None:
    """The dataset holds questions and answers."""
    private_reply(maya, lambda: order(maya, name="replies", scope="channel", what="replies"))
    appears(maya, case.work, "replies* has a new version, 1")
    card = case.slack.services.datasets.get("replies")
    assert card.kind == "reply"
    assert card.intake["left_out"]["no answer"] == sum(one.id % 6 == 0 for one in case.desk.tickets)


def test_a_requested_pull_without_changes_is_reported(case: Case, maya: Person) -> None:
    """`pull NAME` is answered even when nothing changed; rows are prepared in a child process as in production."""
    assert "Pulling *shop*" in private_reply(maya, lambda: maya.command("/datasets", "pull shop", CHANNEL))
    live = PullRunner(case.slack.services, case.client, case.values, "bot-live")
    case.desk.add(ticket(50))
    text = text_of(appears(maya, lambda: case.work(live), "has a new version"))
    assert "1 new, 0 changed" in text
    private_reply(
        maya, lambda: maya.command("/datasets", "pull shop now", CHANNEL)
    )  # it is in the ledger by now
    appears(maya, case.work, "was pulled: nothing new")


def test_two_bots_do_not_pull_twice(case: Case, maya: Person) -> None:
    """Both see that the pull is due, one runs it: one version, one message, one pass over the pages."""
    case.desk.add(ticket(60), ticket(61))
    case.make_due("shop")
    case.desk.rows = 0
    versions = len(case.slack.services.datasets.versions("shop"))
    clerks = [case.runner(f"bot-{number}") for number in (1, 2)]

    def together() -> None:
        threads = [threading.Thread(target=runner.work_once) for runner in clerks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        case.slack.notifier.work_once()

    appears(maya, together, "2 new, 0 changed")
    assert len(case.slack.services.datasets.versions("shop")) == versions + 1
    assert case.desk.rows <= 5


def test_a_version_made_before_a_kill_is_reported_by_the_next_round(case: Case, maya: Person) -> None:
    """The bot was killed between the version and its message: the channel is told once."""
    engine = case.slack.services.ledger.engine
    case.desk.add(ticket(70), ticket(71), ticket(72))
    case.make_due("shop")
    runner = case.runner("bot-killed")
    assert take_due(engine, case.pull("shop"), "bot-killed", case.slack.services.clock())
    runner._run(case.pull("shop"))
    assert end_pull(engine, "shop", "bot-killed", {})  # as its lease lapses
    assert "3 new, 0 changed" in text_of(appears(maya, case.work, "has a new version"))
    case.make_due("shop")
    posts = len(maya.messages(CHANNEL))
    case.work()
    assert len(maya.messages(CHANNEL)) == posts


def test_a_failure_is_reported_once_to_the_requester_and_the_schedule_continues(
    case: Case, maya: Person
) -> None:
    """After a revoked token the requester gets one direct message without the token; the next round pulls the rest."""
    case.desk.token = "another"

    def notes() -> list[str]:
        texts = [text_of(message) for message in maya.messages("@trainwise")]
        return [text for text in texts if "could not be pulled" in text]

    for _ in range(3):
        case.make_due("shop")
        case.work()
    (text,) = notes()
    assert "TRAINWISE_GITHUB_TOKEN" in text
    assert TOKEN not in text
    case.desk.token = TOKEN
    case.desk.faults = {len(case.desk.requests) + 1: Answer(429, {}, {"Retry-After": "7200"})}
    case.make_due("shop")
    case.work()
    assert case.pull("shop").next_at == pytest.approx(case.slack.services.clock() + 7200, abs=120)
    assert len(notes()) == 1
    case.desk.faults = {len(case.desk.requests) + 1: Answer(429, {}, {"Retry-After": "9" * 15})}
    case.make_due("shop")
    case.work()
    assert case.pull("shop").next_at == pytest.approx(case.slack.services.clock() + DAY, abs=120)
    assert "next" in private_reply(maya, lambda: maya.command("/datasets", "pull", CHANNEL))
    engine = case.slack.services.ledger.engine
    set_pull(engine, replace(case.pull("shop"), tries=5_000))
    runner = case.runner()
    assert take_due(engine, case.pull("shop"), "bot-1", case.slack.services.clock() + 2 * DAY)
    runner._note_failure(case.pull("shop"), RuntimeError("broken for months"))
    assert case.pull("shop").next_at == pytest.approx(case.slack.services.clock() + 3600, abs=120)


def test_another_project_is_refused_before_the_schedule_is_changed(case: Case, maya: Person) -> None:
    """The dataset keeps its source; the form shows the error on the name."""
    refusals = order(maya, project="acme/site", scope="channel")["errors"]
    assert "is pulled from github acme/shop" in refusals["name"]
    assert case.pull("shop").query["project"] == "acme/shop"


def test_only_the_requester_or_an_admin_changes_a_pull(case: Case, maya: Person) -> None:
    """Another member is refused, also through the form; a hidden pull looks like an unknown one."""
    ravi, ana = case.slack.person("ravi"), case.slack.person("ana")
    assert "Only @maya" in private_reply(ravi, lambda: ravi.command("/datasets", "pull shop stop", CHANNEL))
    assert "taken by someone else" in order(ravi, scope="channel")["errors"]["name"]
    assert "No pull makes" in private_reply(ravi, lambda: ravi.command("/datasets", "pull nothing", CHANNEL))
    assert "not pulled any more" in private_reply(
        ana, lambda: ana.command("/datasets", "pull shop stop", CHANNEL)
    )
    assert pull_of(case.slack.services.ledger.engine, "shop") is None
    assert case.slack.services.datasets.get("shop").rows > 24


def test_a_removed_dataset_is_not_pulled_again(case: Case, maya: Person) -> None:
    """Its schedule ends, and the requester is told."""
    private_reply(maya, lambda: order(maya, scope="channel"))
    case.work()
    case.slack.services.datasets.removals.hide("shop")
    case.make_due("shop")
    case.work()
    assert pull_of(case.slack.services.ledger.engine, "shop") is None
    assert any("its dataset was removed" in text_of(one) for one in maya.messages("@trainwise"))
    private_reply(maya, lambda: order(maya, scope="channel", name="shop-2"))
    case.work()
    assert case.pull("shop-2").version == 1
    case.slack.services.datasets.remove("shop-2", "U1")  # with the place where it was
    case.make_due("shop-2")
    case.work()
    assert pull_of(case.slack.services.ledger.engine, "shop-2") is None
    assert case.slack.services.datasets.versions("shop-2") == []


def test_an_unconnected_help_desk_is_explained(case: Case, maya: Person) -> None:
    """The sentence names the settings; a project that may not be pulled is refused on its field."""
    reply = private_reply(maya, lambda: maya.command("/datasets", "pull zendesk", CHANNEL))
    assert "TRAINWISE_ZENDESK_URL" in reply
    case.values["TRAINWISE_GITHUB_REPOSITORIES"] = "acme/site"
    assert "allows acme/site" in order(maya, scope="channel", name="other")["errors"]["project"]
    del case.values["TRAINWISE_GITHUB_REPOSITORIES"]
