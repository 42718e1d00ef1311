"""Modal sandboxes: our image on Modal's machines, a bucket of the team's as the place of the runs, names unique while they run.

Client: modal, which repeats a call that fails by itself; a second create of one name is refused, and that means made. Driven
in tests with the real client against a gRPC server on loopback built on Modal's own protocol buffers; never run live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from finetune.platforms.answers import DEFAULT_RETRY_S, Missing
from finetune.platforms.bucket_login import bucket_login, bucket_variables
from finetune.platforms.container import ContainerPlatform, matches
from finetune.platforms.contract import (
    CONTAINER_ENVIRONMENT,
    Adapter,
    Bill,
    NoAnswer,
    NotMade,
    Offer,
    Platform,
    RemoteStatus,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.machine_prices import prices_of
from finetune.platforms.modal_calls import LABEL, InUse, within
from finetune.platforms.runs import RunStore

if TYPE_CHECKING:
    import modal

APP = "trainwise"
KEY = "trainwise"  # of the sandbox's tag that holds ours
URL = "https://api.modal.com"
MACHINES = "TRAINWISE_MODAL_MACHINES"
CPU = "cpu"  # the machine without a GPU
CORES, MEMORY_MIB = 4.0, 16_384
TIMEOUT_S = 30.0
BUILD_S = 45.0
"""Modal copies the image once, which may take longer: then the create is refused for now, so that a cancel is heard meanwhile."""
REPORTED_DAYS = 3


class Sandboxes:
    """The sandboxes of our app in one workspace; `machines` are GPUs (or `cpu`) with the team's price an hour."""

    def __init__(
        self,
        connect_client: Callable[[], modal.Client],
        image: tuple[str, str],
        places: tuple[str, str],
        machines: Mapping[str, float],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._connect_client, self._machines, self._timeout_s = connect_client, machines, timeout_s
        self._image_name, self._registry_secret = image
        self._runs_url, self._bucket_secret = places
        self._client: modal.Client | None = None
        self._app: modal.App | None = None
        self._image: modal.Image | None = None
        self._workspace: modal.Workspace | None = None
        self._ends: dict[str, RemoteStatus] = {}  # what has ended stays so

    def offers(self) -> list[Offer]:
        """The machines of the setting: what a sandbox costs beside its GPU is the team's to add up."""
        return [
            Offer(name, label_of(name), usd, "your setting", gpu="" if name == CPU else name)
            for name, usd in self._machines.items()
        ]

    def create(self, submission: Submission) -> str:
        """One create under the tag as name. It returns before there is a machine: who waits longer is found by the tag."""
        import modal

        try:
            app = self._app_of_ours(create=True)
            image = self._image_there(app)
        except NoAnswer as error:  # nothing of the job has been sent
            raise NotMade(str(error), DEFAULT_RETRY_S) from error
        secrets = [
            modal.Secret.from_dict(dict(submission.secrets)),
            modal.Secret.from_name(self._bucket_secret),
        ]
        machine = None if submission.machine == CPU else submission.machine
        try:
            sandbox = within(
                self._timeout_s,
                lambda: modal.Sandbox.create(
                    *submission.command(self._runs_url),
                    app=app,
                    client=self._client,
                    name=submission.tag,
                    tags={KEY: submission.tag},
                    image=image,
                    env=dict(CONTAINER_ENVIRONMENT),
                    secrets=secrets,
                    gpu=machine,
                    cpu=CORES,
                    memory=MEMORY_MIB,
                    timeout=int(submission.limit_s),
                ),
            )
        except InUse:
            return self._id_by_name(submission.tag)
        return str(sandbox.object_id)

    def _id_by_name(self, tag: str) -> str:
        """The id of the sandbox that bears the name now."""
        import modal

        try:
            return str(
                within(
                    self._timeout_s, lambda: modal.Sandbox.from_name(APP, tag, client=self._client)
                ).object_id
            )
        except Missing as error:
            raise NoAnswer(f"{LABEL} has the name {tag} in use and does not show it yet.") from error

    def find(self, tag: str) -> list[RemoteStatus]:
        """Those that have not ended: Modal lists no others, and lets their name be taken again."""
        is_prefix = tag.endswith("-")
        statuses = []
        for sandbox in self._live_sandboxes(None if is_prefix else tag):
            name = self._tag_of(sandbox) if is_prefix else tag
            if matches(name, tag):
                statuses.append(RemoteStatus(str(sandbox.object_id), Stage.RUNNING, "listed", name))
        return statuses

    def _live_sandboxes(self, tag: str | None) -> list[modal.Sandbox]:
        import modal

        try:
            app_id = self._app_of_ours().app_id
        except Missing:
            return []  # nothing has ever run here
        tags = {KEY: tag} if tag else None
        return within(
            self._timeout_s,
            lambda: list(modal.Sandbox.list(app_id=app_id, tags=tags, client=self._client)),
        )

    def _tag_of(self, sandbox: modal.Sandbox) -> str:
        try:
            return str(within(self._timeout_s, sandbox.get_tags).get(KEY, ""))
        except Missing:
            return ""

    def look(self, remote_id: str) -> RemoteStatus:
        """An end counts only once Modal lists the sandbox no more: its client shows an end that it does not know as exit code 0."""
        if remote_id in self._ends:
            return self._ends[remote_id]
        try:
            code = self._sandbox(remote_id).returncode
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE, "not found")
        if code is None:
            return RemoteStatus(remote_id, Stage.RUNNING, "running")
        if any(one.object_id == remote_id for one in self._live_sandboxes(None)):
            note = f"the platform shows exit code {code} and lists it as running"
            return RemoteStatus(remote_id, Stage.RUNNING, f"exit code {code}", note=note)
        self._ends[remote_id] = RemoteStatus(remote_id, stage_of_exit(code), f"exit code {code}")
        return self._ends[remote_id]

    def _sandbox(self, remote_id: str) -> modal.Sandbox:
        import modal

        client = self._client_of_token()
        return within(self._timeout_s, lambda: modal.Sandbox.from_id(remote_id, client=client))

    def cancel(self, remote_id: str) -> None:
        try:
            within(self._timeout_s, self._sandbox(remote_id).terminate)
        except Missing:
            return

    def bill(self, remote_id: str) -> Bill | None:
        """What the workspace's hourly report says of the sandbox; it comes late, until then the time counts at your price."""
        import modal

        try:
            tag = self._tag_of(self._sandbox(remote_id))
        except Missing:
            tag = ""
        since = datetime.now(UTC) - timedelta(days=REPORTED_DAYS)
        workspace = self._workspace or modal.Workspace.from_context(client=self._client_of_token())
        self._workspace = workspace
        rows = within(
            self._timeout_s,
            lambda: workspace.billing.report(start=since, resolution="h", tag_names=[KEY]),
        )
        own = [row for row in rows if row.object_id == remote_id or (tag and row.tags.get(KEY) == tag)]
        usd = sum(float(row.cost) for row in own)
        return Bill(usd, True, "the workspace's billing report") if usd > 0 else None

    def _client_of_token(self) -> modal.Client:
        if self._client is None:
            self._client = within(self._timeout_s, self._connect_client)
        return self._client

    def _app_of_ours(self, create: bool = False) -> modal.App:
        """The app under which everything of ours lies; Missing where nothing has run yet, unless it is to be made."""
        import modal

        if self._app is None:
            client = self._client_of_token()
            self._app = within(
                self._timeout_s, lambda: modal.App.lookup(APP, client=client, create_if_missing=create)
            )
        return self._app

    def _image_there(self, app: modal.App) -> modal.Image:
        """Our image as Modal keeps it; copied from its registry once for each name."""
        import modal

        if self._image is None:
            secret = modal.Secret.from_name(self._registry_secret) if self._registry_secret else None
            # the command is given whole, so the image's own entry point must not stand before it
            image = modal.Image.from_registry(self._image_name, secret=secret).entrypoint([])
            self._image = within(BUILD_S, lambda: image.build(app))
        return self._image


def label_of(machine: str) -> str:
    """A machine as a person chooses it."""
    size = f"{CORES:g} cores, {MEMORY_MIB // 1024} GiB"
    return f"CPU, {size}" if machine == CPU else f"{machine}, {size}"


def stage_of_exit(code: int) -> Stage:
    """An exit code in our words; Modal shows a time limit as 124 and what was terminated as 137."""
    special = {0: Stage.SUCCEEDED, 124: Stage.TIMED_OUT, 137: Stage.CANCELLED}
    return special.get(code, Stage.FAILED)


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one workspace; the client is connected when it is first used."""
    import modal
    from modal.config import config

    login = values["MODAL_TOKEN_ID"], values["MODAL_TOKEN_SECRET"]
    url = values.get("MODAL_SERVER_URL") or URL

    def connect_client() -> modal.Client:
        config.override_locally("server_url", url)
        return modal.Client.from_credentials(*login)

    runs_url = values["TRAINWISE_MODAL_RUNS_URL"].rstrip("/")
    sandboxes = Sandboxes(
        connect_client,
        (values["TRAINWISE_IMAGE"], values.get("TRAINWISE_MODAL_REGISTRY_SECRET") or ""),
        (runs_url, values["TRAINWISE_MODAL_BUCKET_SECRET"]),
        prices_of(values[MACHINES], MACHINES),
        float(values.get("timeout_s") or TIMEOUT_S),
    )
    return ContainerPlatform(sandboxes, RunStore(runs_url, bucket_login(values, "TRAINWISE_MODAL")))


PLATFORM = Platform(
    name="modal",
    label=LABEL,
    gives="weights",
    extra="modal",
    modules=("modal",),
    variables=(
        Variable("MODAL_TOKEN_ID", "Id of a token of your Modal workspace.", default=None),
        Variable("MODAL_TOKEN_SECRET", "Secret of that token.", secret=True, default=None),
        Variable(
            "TRAINWISE_MODAL_RUNS_URL",
            "s3:// prefix for the runs, for the bot and the sandboxes.",
            default=None,
        ),
        Variable(
            "TRAINWISE_MODAL_BUCKET_SECRET",
            "Name of the Modal Secret with the bucket's AWS_* key, for the sandboxes.",
            default=None,
        ),
        Variable(
            MACHINES,
            "GPUs as Modal names them, or `cpu`, with your dollars an hour for it with 4 cores and 16 GiB: `T4=0.95, cpu=0.40`.",
            default=None,
        ),
        Variable("TRAINWISE_IMAGE", "Our container image, as the platforms pull it.", default=None),
        Variable("TRAINWISE_MODAL_REGISTRY_SECRET", "Name of the Modal Secret that may pull the image."),
        *bucket_variables("TRAINWISE_MODAL", "Modal's runs"),
        Variable("MODAL_SERVER_URL", "Another address of Modal's API.", default=URL),
    ),
    connect=connect,
    leaves="to your own bucket, erased at the end.",
    unique_names=True,
    settle_s=120.0,
    queue_s=21 * 60.0,
    steps=(
        "Make a token in Modal's settings, and a Modal Secret with an S3 key that may use the runs' prefix alone.",
        "Push the image of `deploy/Dockerfile` to a registry that Modal can pull from.",
        "Set MODAL_TOKEN_ID, MODAL_TOKEN_SECRET, TRAINWISE_IMAGE and the TRAINWISE_MODAL_* settings, and start the bot again.",
        "`trainwise doctor` lists the sandboxes of the app `trainwise` and reads the bucket.",
    ),
)
