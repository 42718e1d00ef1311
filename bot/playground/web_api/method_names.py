"""Methods that Slack knows and that a bot's token does not open: Slack then says so, and not that there is no such method."""

from __future__ import annotations

OF_PEOPLE = frozenset(
    {
        *("reminders.add", "reminders.complete", "reminders.delete", "reminders.info", "reminders.list"),
        *("search.all", "search.files", "search.messages", "stars.add", "stars.list", "stars.remove"),
        *("dnd.endDnd", "dnd.endSnooze", "dnd.setSnooze", "files.revokePublicURL", "files.sharedPublicURL"),
        *(
            "team.accessLogs",
            "team.billableInfo",
            "team.integrationLogs",
            "users.deletePhoto",
            "users.identity",
        ),
        *("users.profile.set", "users.setPhoto", "users.setActive"),
    }
)
"""They take a person's token."""
RETIRED = frozenset(
    {
        *(f"{kind}.{verb}" for kind in ("channels", "groups") for verb in (
            "archive", "create", "history", "info", "invite", "join", "kick", "leave", "list", "mark", "rename",
            "replies", "setPurpose", "setTopic", "unarchive")),
        *(f"{kind}.{verb}" for kind in ("im", "mpim") for verb in ("close", "history", "list", "mark", "open", "replies")),
        *("groups.createChild", "groups.open", "groups.close", "files.upload", "files.comments.delete", "rtm.start"),
        *("workflows.stepCompleted", "workflows.stepFailed", "workflows.updateStep"),
    }
)  # fmt: skip
"""They have been taken out of service; what stands for them today is in conversations.* and files.*UploadExternal."""
