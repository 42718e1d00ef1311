"""Everything that is sent to Slack: messages, streams, cards and reports, at Slack's pace."""
