"""The forms: ask, fine-tune, add a dataset, add documents, give a reason. Pure builders and readers.

Each input's block_id is the field's name, so Slack shows an error on its field. A form's context travels in
private_metadata and is validated when it comes back, like all input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.errors import BotError
from bot.slack.ui.blocks import (
    Block,
    context,
    file_input,
    modal,
    number_field,
    option,
    section,
    select,
    text_input,
)
from bot.slack.ui.blocks import field as input_field
from bot.slack.ui.escape import escape, one_line
from finetune.catalog import BASE_MODELS
from finetune.data.card import Card
from finetune.methods import METHODS
from finetune.spec import Choices, choices_for
from finetune.tasks import TASKS
from rag.ingest.readers.registry import known_suffixes

DATASET_KINDS = ("csv", "tsv", "jsonl", "ndjson", "json", "parquet", "txt", "xlsx", "xls", "ods", "gz")
ARCHIVE_OR_MAIL_KINDS = (
    "zip",
    "mbox",
    "eml",
    "msg",
    "html",
)  # usually documents; tickets if the person says so
CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{1,31}")
MESSAGE_TS = re.compile(r"\d{1,12}\.\d{1,9}")
ABOUT_TEXT = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
FINETUNE_FIELDS = ("dataset", "task", "base_model", "hub_model", "method", "epochs", "budget_usd")


@dataclass(frozen=True)
class FormMetadata:
    """A form's private_metadata: channel, thread and subject. It grants no permission; the server checks again."""

    channel: str
    thread_ts: str | None = None
    about: str = ""

    def pack(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> FormMetadata:
        """What `packed` wrote; BotError for anything else."""
        try:
            data = json.loads(text)
            metadata = cls(data["channel"], data["thread_ts"], data["about"])
            fits = CHANNEL_ID.fullmatch(metadata.channel) and ABOUT_TEXT.fullmatch(metadata.about)
            valid = metadata.thread_ts is None or MESSAGE_TS.fullmatch(metadata.thread_ts)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BotError("This form is damaged. Close it and open it again.") from None
        if not fits or not valid or len(data) != 3:
            raise BotError("This form is damaged. Close it and open it again.")
        return metadata


@dataclass(frozen=True)
class FormValues:
    """The values of a submitted form by field, and the ids of uploaded files by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: Mapping[str, Any]) -> FormValues:
        values: dict[str, str] = {}
        files: dict[str, tuple[str, ...]] = {}
        for name, elements in view["state"]["values"].items():
            for element in elements.values():
                if "files" in element:
                    files[name] = tuple(str(one["id"]) for one in element["files"] or [])
                elif (option := element.get("selected_option")) is not None:
                    values[name] = str(option["value"])
                elif element.get("value") is not None:
                    values[name] = str(element["value"])
        return cls(values, files)


def recipe_of(values: Mapping[str, str], dataset_kind: str) -> dict[str, str]:
    """The fine-tune form's values as recipe fields.

    A named hub model is the base model. A packaged base model that the chosen method does not support is replaced by the
    form's default; the recipe's validation refuses other contradictions.
    """
    form = {name: value for name, value in values.items() if name in FINETUNE_FIELDS}
    choices = choices_for(dataset_kind, form)
    hub_model = form.pop("hub_model", "").strip()
    if form.get("base_model") in BASE_MODELS and form.get("method") == choices.method:
        form["base_model"] = choices.base_model
    if hub_model and choices.takes_hub_model:
        form["base_model"] = hub_model
    return form


TASK_FIELDS = ("task", "method", "base_model", "hub_model", "epochs")


def fitting_values(values: Mapping[str, str], cards: Sequence[Card], has_gpu: bool) -> dict[str, str]:
    """The values without those that the chosen tickets or method do not allow; the form shows its defaults there.

    When the tickets are of another kind, all fields of the earlier task are dropped.
    """
    card = next((card for card in cards if card.name == values.get("dataset")), cards[0])
    choices = choices_for(card.kind, values, has_gpu)
    if values.get("task", choices.task) not in choices.tasks:
        return {name: value for name, value in values.items() if name not in TASK_FIELDS}
    offers = {"method": choices.methods, "base_model": choices.base_models}
    return {name: value for name, value in values.items() if value in offers.get(name, (value,))}


def finetune_modal(
    cards: Sequence[Card],
    metadata: FormMetadata,
    values: Mapping[str, str],
    estimate: str,
    has_gpu: bool = True,
    where: Sequence[Block] = (),
) -> Block:
    """The form of `/finetune`, with the fields that apply to tickets and method; `estimate` is the sentence on cost.

    Without `has_gpu` methods that need a GPU are not offered; `where` is the field for the place (bot/slack/ui/machine_choice.py).
    """
    card = next((card for card in cards if card.name == values.get("dataset")), cards[0])
    choices = choices_for(card.kind, values, has_gpu)
    blocks = [
        section(
            "Train on your own resolved tickets and get a measured answer: is it better than the baselines?"
        ),
        input_field("dataset", "Tickets", _datasets(cards, values.get("dataset")), live=True),
        input_field("task", "Task", _choice("task", TASKS, choices.tasks, choices.task), live=True),
        input_field(
            "method", "Method", _choice("method", METHODS, choices.methods, choices.method), live=True
        ),
        *_base_model_fields(choices, values),
    ]
    if choices.epochs is not None:
        blocks.append(
            number_field(
                "epochs",
                "Epochs",
                values.get("epochs", str(choices.epochs)),
                hint="How often training goes over the tickets. It stops early when nothing improves.",
            )
        )
    blocks.append(
        number_field(
            "budget_usd",
            "Budget in US dollars",
            values.get("budget_usd", "5"),
            decimal=True,
            hint="Training stops when this is spent; the report says so.",
        )
    )
    blocks += where
    blocks.append(context(f"💵 {escape(one_line(estimate, 900))}") | {"block_id": "estimate"})
    return modal("finetune", "Fine-tune", blocks, "Start", metadata.pack())


def _base_model_fields(choices: Choices, values: Mapping[str, str]) -> list[Block]:
    """The fields for the packaged base models or shapes (if there are several) and for a hub model (if allowed)."""
    fields = []
    if choices.base_models:
        select_base = _choice("base_model", BASE_MODELS, choices.base_models, choices.base_model)
        fields.append(input_field("base_model", "Base model", select_base, live=True))
    if choices.takes_hub_model:
        label = "Or a base model from the hub" if choices.base_models else "Base model from the hub"
        fields.append(
            input_field(
                "hub_model",
                label,
                text_input("hub_model", values.get("hub_model", ""), "owner/name", longest=200),
                hint="For example Qwen/Qwen3-0.6B; it must have safetensors weights.",
                optional=bool(choices.base_models),
            )
        )
    return fields


def dataset_modal(metadata: FormMetadata, name: str = "", has_file: bool = False) -> Block:
    """The form that adds a dataset; with `has_file` the file comes from the shortcut's message."""
    upload = input_field(
        "file",
        "File",
        file_input("file", (*DATASET_KINDS, *ARCHIVE_OR_MAIL_KINDS)),
        hint="CSV, Excel, JSON, Parquet, a mailbox or a help desk's export, up to 10 MB. A larger file: drop it in the "
        "channel and use Add file as dataset on its message.",
    )
    scopes = [option("This channel only", "channel"), option("The whole workspace", "workspace")]
    blocks = [
        *([] if has_file else [upload]),
        input_field(
            "name",
            "Name",
            text_input("name", name, "support-2026", longest=64),
            hint="Lower-case letters, digits and hyphens.",
        ),
        input_field("scope", "Who may use it", select("scope", scopes, "channel")),
        input_field(
            "licence",
            "Right to use",
            text_input("licence", hint="Our own tickets, customers informed", longest=200),
            hint="Whose data it is and why you may train on it. It stays on the card.",
        ),
    ]
    return modal("dataset_add", "Add tickets", blocks, "Next", metadata.pack())


def documents_modal(metadata: FormMetadata) -> Block:
    """The form that adds documents."""
    scopes = [option("This channel only", "channel"), option("The whole workspace", "workspace")]
    blocks = [
        input_field(
            "file", "File", file_input("file", [suffix[1:] for suffix in known_suffixes()]), optional=True
        ),
        input_field(
            "link",
            "or link",
            text_input("link", hint="https://help.example.com/articles", longest=2000),
            optional=True,
        ),
        input_field("scope", "Who may see it in answers", select("scope", scopes, "channel")),
    ]
    return modal("docs_add", "Add documents", blocks, "Add", metadata.pack())


def reason_modal(
    callback_id: str, title: str, label: str, metadata: FormMetadata, optional: bool = False
) -> Block:
    """A form with one free-text question, such as the reason for declining a job."""
    entry = text_input("reason", multiline=True, longest=1000)
    blocks = [input_field("reason", label, entry, optional=optional)]
    return modal(callback_id, title, blocks, "Send", metadata.pack())


def ask_modal(metadata: FormMetadata, questions: Sequence[Mapping[str, str]]) -> Block:
    """The form for a question; `questions` are examples by title and message."""
    offers = [option(one_line(one["title"], 75), str(number)) for number, one in enumerate(questions)]
    blocks = [
        section(
            "Tell me what a model should do for you and what goes wrong today, with numbers where you have them."
        ),
        input_field(
            "question",
            "Your question",
            text_input("question", hint=questions[0]["message"], multiline=True),
            optional=True,
        ),
        input_field("example", "Or one to try", select("example", offers, hint="Choose"), optional=True),
        context(
            "The answer comes to you alone, in *Messages*. To ask for all to read, mention me in a channel."
        ),
    ]
    return modal("ask", "Ask", blocks, "Ask", metadata.pack())


def note_modal(title: str, text: str) -> Block:
    """A modal with a sentence only."""
    return modal("note", title, [section(escape(text))])


def _datasets(cards: Sequence[Card], selection: str | None) -> Block:
    options = [option(one_line(f"{c.name} · {c.rows:,} tickets · {c.kind}", 75), c.name) for c in cards[:100]]
    first = selection if selection in {c.name for c in cards} else (cards[0].name if cards else None)
    return select("dataset", options, first, "Choose tickets")


def _choice(name: str, registry: Mapping[str, Any], names: Sequence[str], selection: str) -> Block:
    options = [option(registry[value].label, value) for value in names]
    return select(name, options, selection if selection in names else names[0])
