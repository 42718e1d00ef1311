"""A report's pictures, sent after it into its thread: tried a few times, then a line that says why they are missing."""

from __future__ import annotations

import logging

from slack_sdk import WebClient

from bot.slack.delivery.posting import Refusal, has_files, refusal, send
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import context
from bot.slack.ui.messages import pictures_of
from worker.jobs.records import Job, Post

PICTURE_TRIES = 3
log = logging.getLogger(__name__)


class Pictures:
    """`send(...)` gives None when nothing is owed any more, else what Slack refused: to be tried again later."""

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._tries: dict[int, int] = {}

    def send(self, job: Job, post: Post, plots: dict[str, bytes], thread: str) -> tuple[Refusal, int] | None:
        """The pictures into the thread of the report; the refusal and the number of this try where it failed."""
        if not plots or (post.tries and has_files(self._client, post.channel, thread, set(plots))):
            return None
        try:
            uploads = pictures_of(job, plots)
            self._client.files_upload_v2(channel=post.channel, thread_ts=thread, file_uploads=uploads)
        except SLACK_TROUBLE as error:
            why = refusal(error)
            tries = self._tries[post.id] = self._tries.get(post.id, 0) + 1
            log.warning("pictures of %s, try %d: %s", job.id, tries, why.code)
            if tries < PICTURE_TRIES:
                return why, tries
            text = f"🖼️ The pictures could not be uploaded (`{why.code}`). Check the app's permission files:write."
            key = f"{post.dedupe_key}:pictures"
            send(self._client, post.channel, thread, text, [context(text)], key)
        self._tries.pop(post.id, None)
        return None
