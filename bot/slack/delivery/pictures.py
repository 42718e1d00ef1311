"""Uploads a report's pictures into its thread; after PICTURE_TRIES failures a line says why they are missing."""

from __future__ import annotations

import logging

from slack_sdk import WebClient

from bot.slack.delivery.posting import SlackFailure, classify_error, has_files, send_message
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import context
from bot.slack.ui.messages import pictures_of
from worker.jobs.records import Job, Post

PICTURE_TRIES = 3
log = logging.getLogger(__name__)


class Pictures:
    """`send(...)` returns None when it is done, else Slack's failure: the caller tries again later."""

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._tries: dict[int, int] = {}

    def send(
        self, job: Job, post: Post, plots: dict[str, bytes], thread: str
    ) -> tuple[SlackFailure, int] | None:
        """Uploads the pictures; the failure and the number of this try where Slack refused."""
        if not plots or (post.tries and has_files(self._client, post.channel, thread, set(plots))):
            return None
        try:
            uploads = pictures_of(job, plots)
            self._client.files_upload_v2(channel=post.channel, thread_ts=thread, file_uploads=uploads)
        except SLACK_ERRORS as error:
            why = classify_error(error)
            tries = self._tries[post.id] = self._tries.get(post.id, 0) + 1
            log.warning("pictures of %s, try %d: %s", job.id, tries, why.code)
            if tries < PICTURE_TRIES:
                return why, tries
            text = f"🖼️ The pictures could not be uploaded (`{why.code}`). Check the app's permission files:write."
            key = f"{post.dedupe_key}:pictures"
            send_message(self._client, post.channel, thread, text, [context(text)], key)
        self._tries.pop(post.id, None)
        return None
