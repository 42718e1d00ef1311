"""OpenAI's chat completions, which most gateways and servers keep."""

from __future__ import annotations

from finetune.llm import ask_once, asker
from finetune.wires.wire import Wire

WIRE = Wire("openai", asker, ask_once)
