"""A person at their Slack client, for tests and the demo: says, clicks, fills forms, and waits for what
appears."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from bot.playground.errors import PlaygroundError
from bot.playground.patience import Patience

Json = dict[str, Any]
POLL_SECONDS = 0.05


class Person:
    """One user of the workspace at `url`; `user` is an id or a name ("maya", "ravi", "ana").

    Channels go by id or name ("#support-ml"); "@trainwise" is the DM with the app. A mistake raises
    PlaygroundError;
    an app that does not answer shows as {"ok": False, "error": ...}, as it does in Slack.
    """

    def __init__(self, url: str, user: str = "maya", timeout: float = 30.0) -> None:
        self.user = user
        self._timeout = timeout
        self._read: set[tuple[str, str]] = set()
        self._http = httpx.Client(base_url=url, timeout=max(timeout, 120.0), trust_env=False)

    def say(
        self, channel: str, text: str, thread_ts: str | None = None, files: list[str] | None = None
    ) -> Json:
        """Type a message; {"channel", "ts", "text", "warning"}."""
        return self._do("say", channel=channel, text=text, thread_ts=thread_ts, files=files or [])

    def command(self, command: str, text: str = "", channel: str = "#support-ml") -> Json:
        """Type a slash command and wait for its ack."""
        return self._do("command", channel=channel, command=command, text=text)

    def wait_view(self, timeout: float | None = None, title: str | None = None) -> Json:
        """The modal on top, once one is there that this method has not returned before (or with this
        title)."""

        def matching_view() -> Json | None:
            view = self._do("view")["view"]
            if view is None or (view["id"], view["hash"]) in self._read:
                return None
            return view if title in (None, (view.get("title") or {}).get("text")) else None

        view = self._wait(matching_view, timeout, "no new modal appeared")
        self._read.add((view["id"], view["hash"]))
        return view

    def view(self) -> Json | None:
        """The modal on top, if any."""
        view: Json | None = self._do("view")["view"]
        return view

    def submit(self, view: Json, values: Json | None = None) -> Json:
        """Fill and submit; {"ok": False, "errors": {block_id: message}} when a field is refused.

        Values by block id (or action id): text, an option's value or label, a list of them, or ids of
        uploaded files.
        """
        return self._do("submit", view_id=view["id"], values=values or {})

    def close(self, view: Json, *, clear: bool = False) -> Json:
        """Cancel a modal."""
        return self._do("close", view_id=view["id"], clear=clear)

    def click(self, channel: str, ts: str, action_id: str, value: Any = None) -> Json:
        """Press a button, choose in a select, give feedback: `value` picks among buttons and options."""
        return self._do("click", channel=channel, ts=ts, action_id=action_id, value=value)

    def use(self, view: Json, action_id: str, value: Any = None) -> Json:
        """The same for a control of a modal or of the App Home."""
        return self._do("view_action", view_id=view["id"], action_id=action_id, value=value)

    def suggest(self, view: Json, action_id: str, text: str) -> list[Json]:
        """Type into an external select of a modal and see the options."""
        return list(self._do("suggest", view_id=view["id"], action_id=action_id, value=text)["options"])

    def shortcut(self, callback_id: str, channel: str | None = None, ts: str | None = None) -> Json:
        """Use a message shortcut (or a global one)."""
        return self._do("shortcut", callback_id=callback_id, channel=channel, ts=ts)

    def open_home(self, tab: str = "home") -> Json | None:
        """Open the app's Home (or "messages") tab; the view that is published now, if any."""
        view: Json | None = self._do("home", tab=tab)["view"]
        return view

    def wait_home(self, predicate: Callable[[Json], bool] = bool, timeout: float | None = None) -> Json:
        """Open the Home tab until its view satisfies the predicate."""

        def matching_home() -> Json | None:
            view = self._do("home_view")["view"]
            return view if view and predicate(view) else None

        self.open_home()
        return self._wait(matching_home, timeout, "the App Home did not get there")

    def upload(
        self, channel: str | None, name: str, content: bytes, text: str = "", thread_ts: str | None = None
    ) -> Json:
        """Send a file; without a channel it only uploads, for a modal. {"file", "channel", "ts"}."""
        form = {"user": self.user, "channel": channel or "", "text": text, "thread_ts": thread_ts or ""}
        return self._check(self._http.post("/client/upload", data=form, files={"file": (name, content)}))

    def react(self, channel: str, ts: str, name: str) -> None:
        """Put an emoji on a message, or take it off."""
        self._do("react", channel=channel, ts=ts, name=name)

    def delete(self, channel: str, ts: str) -> None:
        """Delete one's own message or dismiss an ephemeral one."""
        self._do("delete", channel=channel, ts=ts)

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Change one's own message."""
        self._do("edit", channel=channel, ts=ts, text=text)

    def sees_stop(self, channel: str, thread_ts: str) -> bool:
        """Whether the Stop button is there: the app has said that it works on the thread."""
        sessions = self._do("messages", channel=channel, thread_ts=thread_ts)["sessions"]
        return (sessions.get(thread_ts) or {}).get("status") == "processing"

    def stop_agent(self, channel: str, thread_ts: str) -> Json:
        """Press Stop while the agent works on a thread."""
        return self._do("stop", channel=channel, thread_ts=thread_ts)

    def messages(self, channel: str, thread_ts: str | None = None) -> list[Json]:
        """What this person sees in a conversation or thread, oldest first, with their ephemeral messages."""
        return list(self._do("messages", channel=channel, thread_ts=thread_ts)["messages"])

    def wait_message(
        self,
        channel: str,
        predicate: Callable[[Json], bool],
        timeout: float | None = None,
        thread_ts: str | None = None,
    ) -> Json:
        """The first message that satisfies the predicate, as soon as it (or its change) is there."""

        def matching_message() -> Json | None:
            return next((m for m in self.messages(channel, thread_ts) if predicate(m)), None)

        return self._wait(matching_message, timeout, f"no such message appeared in {channel}")

    def file(self, file_id: str) -> bytes:
        """The bytes of a file that was shared."""
        return self._http.get(f"/client/file/{file_id}").raise_for_status().content

    def api_log(self, since: int = 0) -> list[Json]:
        """Web API calls the workspace received after number `since`."""
        return list(self._check(self._http.post("/control/log", json={"since": since}))["calls"])

    def _wait(self, check: Callable[[], Json | None], timeout: float | None, complaint: str) -> Json:
        patience = Patience(self._timeout if timeout is None else timeout)
        while True:
            result = check()
            if result is not None:
                return result
            if patience.is_over():
                raise PlaygroundError(f"Waited {patience}: {complaint}.")
            time.sleep(POLL_SECONDS)

    def _do(self, verb: str, **args: Any) -> Json:
        return self._check(self._http.post(f"/client/{verb}", json={"user": self.user, **args}))

    def _check(self, answer: httpx.Response) -> Json:
        body: Json = answer.json()
        if answer.status_code >= 400:
            raise PlaygroundError(str(body.get("error")))
        return body
