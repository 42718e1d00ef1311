"""The model card: what a tuned model is, its scores, and how to repeat the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finetune.catalog import HUB_ID, hub_id_of, published_name
from finetune.methods import METHODS
from finetune.pricing import money
from finetune.reports.finetune import FinetuneReport
from finetune.reports.parts import Score, SystemLine

WEAKEST = 5
SIGNS = {"accuracy": "accuracy", "macro_f1": "macro-F1", "chrf": "chrF", "rouge_l": "ROUGE-L"}
SIGNS |= {"similarity": "similarity", "facts_from_ticket": "facts from the ticket"}


def model_card(report: FinetuneReport, purpose: str) -> str:
    """The card as Markdown, with the front matter that model hubs read; `report` is the pipeline's.

    `purpose` is what the model does, a phrase that continues "It ..." and may name `{classes}`.
    """
    spec = report.spec
    parts = [
        _front(spec),
        f"# {spec['task'].title()} model for {report.dataset.name}\n\n{' '.join([report.headline, *report.why])}",
        _use(report, purpose),
        _scores(report.systems),
        _limits(report),
        _repeat({**spec, **_base(report)}, report.dataset.digest),
        _table("setting", spec),
        _table("origin", report.provenance),
        _costs(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(spec: Mapping[str, Any]) -> str:
    method = METHODS[spec["method"]]
    lines = [f"library_name: {method.library}", f"tags: [trainwise, {spec['task']}]"]
    base = hub_id_of(published_name(spec["base_model"]))[0]
    if method.pretrained and HUB_ID.fullmatch(base):  # a hub refuses a card that names a folder
        lines.append(f"base_model: {base}")
    return "---\n" + "\n".join(lines) + "\n---"


def _base(report: FinetuneReport) -> dict[str, str]:
    """The hub's base model at the commit that was trained on."""
    commit = report.provenance.get("base_model_commit")
    return {"base_model": f"{hub_id_of(report.spec['base_model'])[0]}@{commit}"} if commit else {}


def _use(report: FinetuneReport, purpose: str) -> str:
    data = report.dataset
    return (
        f"It {purpose.format(classes=data.classes)}. Trained on {data.train} tickets, chosen on {data.dev}, tested on {data.test} "
        f"({data.split}).\n\n"
        "It knows only these tickets: test it again when queues, products or policies change, and do not use "
        "it for decisions about people. It may repeat personal data of its training tickets."
    )


def _scores(systems: Sequence[SystemLine]) -> str:
    measures = [name for name in SIGNS if name in systems[-1].scores]
    head = ["system", *(f"{SIGNS[name]} % (95%)" for name in measures)]
    rows = [[s.name, *(_interval(s.scores[name]) for name in measures)] for s in systems]
    lines = [head, ["---"] * len(head), *rows]
    return "## How good it is\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _limits(report: FinetuneReport) -> str:
    lines = list(report.notes)
    weak = [queue for queue in report.per_class if queue.rows][:WEAKEST]
    if weak:
        names = ", ".join(f"{queue.name} (F1 {queue.f1:.2f}, {queue.rows} tested)" for queue in weak)
        lines.append(f"Weakest queues: {names}.")
    if (ece := report.calibration.ece) is not None:
        lines.append(f"Its confidence is off by {100 * ece:.1f} points on average (ECE).")
    if report.perplexity:
        lines.append(f"Perplexity of the real answers: {report.perplexity:.1f}.")
    if batch := report.latency.batch_ms:
        dollars = report.latency.usd_per_1000
        price = f", {money(dollars)} per 1,000" if dollars is not None else ""
        lines.append(f"{batch:.1f} ms a ticket in batches on the training machine{price}.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _repeat(spec: Mapping[str, Any], digest: str) -> str:
    return (
        f"## Repeat this run\n\n```sh\n{command(spec, digest)}\n```\n\nThe long number names the rows "
        f"(`trainwise datasets show {spec['dataset']}` begins with it); the seed fixes their split and every random "
        "draw. With the code, libraries, processor and number of threads below the figures come out the same; "
        "elsewhere the last digits may differ."
    )


def _costs(report: FinetuneReport) -> str:
    spent, carbon = report.spent, report.carbon
    return (
        f"Time {spent.wall_s:.0f} s ({spent.cpu_s:.0f} CPU-s); cost {money(spent.usd)} ({spent.basis}); "
        f"about {carbon.g_co2:.2g} g CO2 ({carbon.basis})."
    )


def _table(name: str, values: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {key} | {'-' if value is None else value} |" for key, value in values.items())
    return f"| {name} | value |\n| --- | --- |\n{rows}"


def _interval(score: Score) -> str:
    band = score.interval
    value, low, high = 100 * band.value, 100 * band.low, 100 * band.high
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


OPTIONS = ("task", "base_model", "method", "epochs", "learning_rate", "seed", "budget_usd")
NOT_SAID = (
    "dataset",
    "digest",
)  # the digest stands in the place of the name, which may mean other rows by now


def command(spec: Mapping[str, Any], digest: str) -> str:
    """The shell command that repeats `spec` on the rows of `digest`, one setting a line.

    Defaults are spelled out too: another version of the code may have others.
    """
    settings = {name: value for name, value in spec.items() if name not in NOT_SAID and value is not None}
    options = [f"--{name.replace('_', '-')} {_word(settings[name])}" for name in OPTIONS if name in settings]
    others = [f"--set {name}={_word(value)}" for name, value in settings.items() if name not in OPTIONS]
    return " \\\n  ".join([f"trainwise finetune {digest} --here", *options, *others])


def _word(value: Any) -> str:
    import shlex

    return {"True": "yes", "False": "no"}.get(str(value)) or shlex.quote(str(value))
