"""The language model behind `OPENAI_API_KEY` or `OPENAI_BASE_URL`, made by langchain when it is wanted."""

from __future__ import annotations

from typing import Any


def chat_model(model: str, api_key: str | None, base_url: str | None, timeout_s: float) -> Any:
    """A langchain chat model for an OpenAI-compatible server; no call is made here."""
    from langchain.chat_models import init_chat_model

    return init_chat_model(
        f"openai:{model}", api_key=api_key or "none", base_url=base_url, timeout=timeout_s, max_retries=0
    )
