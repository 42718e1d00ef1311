"""Google's generateContent on an endpoint of Vertex AI, by a service account's key; never run live.

Client: httpx with google-auth. The model is an endpoint, `projects/P/locations/L/endpoints/E`: a tuned model's own name is refused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from finetune.llm import LONGEST_ANSWER, AskLLM, ModelAnswer
from finetune.wires.wire import Wire, ask_with_advice, failure_of

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Account:
    """A service account of a key file's fields; `headers()` bears a token that is still valid.

    ValueError where `info` is no key of a service account; google-auth's errors where Google gives no token.
    """

    def __init__(self, info: Mapping[str, Any], timeout_s: float) -> None:
        import httpx
        from google.oauth2 import service_account

        self._credentials: Any = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        self._client = httpx.Client(timeout=timeout_s)
        self._lock = threading.Lock()

    def headers(self) -> dict[str, str]:
        """The header with the token, which is asked for anew where it has run out."""
        with self._lock:
            if not self._credentials.valid:
                self._credentials.refresh(self._request)
            return {"Authorization": f"Bearer {self._credentials.token}"}

    def _request(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any) -> Any:
        """google-auth's transport: an answer with status, headers and data."""
        import httpx
        from google.auth.exceptions import TransportError

        try:
            answer = self._client.request(method, url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise TransportError(type(error).__name__) from error
        return _TokenAnswer(answer.status_code, dict(answer.headers), answer.content)


class _TokenAnswer:
    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


def asker(model: str, key: str, address: str | None, timeout_s: float) -> AskLLM:
    """`ask(prompt)` for an endpoint, safe for several threads; `key` is the text of a service account's key file."""
    import httpx

    region = model.split("/")[3]
    account = Account(json.loads(key), timeout_s)
    url = f"{address or f'https://{region}-aiplatform.googleapis.com'}/v1/{model}:generateContent"
    client = httpx.Client(timeout=timeout_s)
    options: dict[str, Any] = {"temperature": 0, "maxOutputTokens": LONGEST_ANSWER}
    thinking = {
        "thinkingConfig": {"thinkingBudget": 0}
    }  # a tuned model answers at once; some bases refuse it
    refusals: set[str] = set()

    def ask(prompt: str) -> ModelAnswer:
        config = options if refusals else options | thinking
        body = {
            "contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": config,
        }
        answer = client.post(url, json=body, headers=account.headers())
        if answer.status_code == 400 and "thinking" in answer.text.lower() and "thinkingConfig" in config:
            refusals.add("thinkingConfig")
            return ask(prompt)
        if answer.status_code != 200:
            raise failure_of(answer.status_code)
        return read(answer.json())

    return ask


def read(answer: Mapping[str, Any]) -> ModelAnswer:
    """The first candidate's words, "" where Google withheld them, and the count of tokens, thoughts included."""
    if "candidates" not in answer and "promptFeedback" not in answer:
        raise ValueError("no candidates")
    candidate = (answer.get("candidates") or [{}])[0]
    parts = candidate.get("content", {}).get("parts") or []
    text = "".join(str(part.get("text", "")) for part in parts if not part.get("thought"))
    usage = answer.get("usageMetadata") or {}
    counts = [usage[name] for name in ("candidatesTokenCount", "thoughtsTokenCount") if name in usage]
    return ModelAnswer(text.strip(), usage.get("promptTokenCount"), sum(counts) if counts else None)


WIRE = Wire("google", asker, ask_with_advice(asker))
