"""What a form shows after it was sent, in the right order.

Bolt sends the answer to a submission from another thread, up to 10 ms after `ack`. An update made meanwhile
arrives first, and the answer ("Reading ...") then covers it for ever.
"""

from __future__ import annotations

import time

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.ui.blocks import Block

TRIES, PAUSE_S = 10, 0.3  # together the 3 s in which Slack takes an answer to a submission


def update_submitted(client: WebClient, view_id: str, sent: str, view: Block) -> None:
    """Shows `view` in a submitted form to stay: where it comes before the submission's answer, again after it.

    `sent` is the `hash` of the form as it was submitted. SlackApiError where the form is closed.
    """
    known = sent
    for _ in range(TRIES):
        try:
            known = client.views_update(view_id=view_id, hash=known, view=view)["view"]["hash"]
        except SlackApiError as refused:
            if refused.response.get("error") != "hash_conflict":
                raise
            client.views_update(view_id=view_id, view=view)  # the answer is there
            return
        time.sleep(PAUSE_S)
