"""Suggested questions for the messages tab and the form "Ask"; a test checks the answer to each."""

from __future__ import annotations

PROMPTS = [
    {
        "title": "Fine-tune on our articles?",
        "message": "Our help center changes every week, should we fine-tune on the articles?",
    },
    {
        "title": "Route tickets to queues",
        "message": "We route 40,000 tickets a month to 8 queues and have 6,000 labelled ones. What should we train?",
    },
    {
        "title": "Make replies sound like us",
        "message": "Replies should sound like us. We have 900 approved ones and have not tried a prompt yet. Fine-tune?",
    },
    {
        "title": "Our own foundation model",
        "message": "Should we pre-train our own model for customer support?",
    },
]
