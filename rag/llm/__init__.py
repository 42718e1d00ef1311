"""A language model behind an OpenAI-compatible server: its dialect, client, output parser and time budget."""

from rag.llm.client import ChatClient
from rag.llm.dialect import Message
from rag.llm.failures import LanguageModelError
from rag.llm.language_model import FAILURES_BEFORE_REST, CallBudget, LanguageModel
from rag.llm.structured_output import Shape

__all__ = [
    "FAILURES_BEFORE_REST",
    "CallBudget",
    "ChatClient",
    "LanguageModel",
    "LanguageModelError",
    "Message",
    "Shape",
]
