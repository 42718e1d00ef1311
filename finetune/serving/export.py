"""A finished model for elsewhere: the files as trained or merged into plain safetensors, with the model card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from finetune.artifacts import CARD, LINEAR_HALF, find_model, read_card
from finetune.catalog import hub_id_of, published_name
from finetune.errors import ExportError
from finetune.hosted import refuse_hosted
from finetune.methods import MERGED, method_of
from finetune.serving.predict import load
from finetune.training.base_models import causes, status_of

FORMS = ("adapter", "merged")
MODEL_CARD = "MODEL_CARD.md"
HUB_CARD = "README.md"  # the name under which a hub shows the card


def export(folder: Path, out: Path, form: str = "adapter") -> list[Path]:
    """Write a job's model to the new folder `out` and return its files.

    "adapter": the files as trained (a LoRA adapter needs its base model). "merged": the adapter merged
    into its base, loadable without peft. An existing export of the same kind is left unchanged, so that a push can be
    repeated. Raises ExportError, CorruptModel or BaseModelError; `out` then stays away.
    """
    if form not in FORMS:
        raise ExportError(f"There is no form `{form}`. Choose one of: {', '.join(FORMS)}.")
    full = out.exists() and any(out.iterdir())
    error = ExportError(f"{out} already holds something: name a new folder.")
    if full and not (out / CARD).is_file():
        raise error
    place = find_model(folder)
    card = read_card(place)
    refuse_hosted(card, "exported")
    if full and not _is_done(place, card, out, form):
        raise error
    if not full:
        _write(place, card, out, form)
    return sorted(path for path in out.rglob("*") if path.is_file())


def _write(place: Path, card: dict[str, Any], out: Path, form: str) -> None:
    draft = out.with_name(f".{out.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        if form == "merged" and method_of(card).adapter:
            _merge(place, card, draft)
        else:
            shutil.copytree(place, draft)
        _name_base(draft, card["base_model"])
        _copy_cards(place, draft, plain=form == "merged")
        if out.exists():
            out.rmdir()
        draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_done(place: Path, card: dict[str, Any], out: Path, form: str) -> bool:
    """Whether `out` is this very export; it came there whole or not at all."""
    expected_card = _merged_card(card) if form == "merged" and method_of(card).adapter else card
    model_card = next(
        (one / MODEL_CARD for one in (place, place.parent) if (one / MODEL_CARD).is_file()), None
    )
    same = model_card is None or (
        (out / MODEL_CARD).is_file() and model_card.read_bytes() == (out / MODEL_CARD).read_bytes()
    )
    return same and (out / CARD).is_file() and read_card(out) == expected_card


def push(folder: Path, repository: str, token: str, private: bool = True) -> str:
    """Upload an exported folder to a model hub and return its address; private unless told otherwise.

    What broke off is pushed again by the same call: what the hub has is not sent twice, and a commit shows only
    when it is whole. Raises ExportError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi(token=token)
    try:
        repo = api.create_repo(repository, private=private, exist_ok=True, repo_type="model")
        api.upload_folder(folder_path=str(folder), repo_id=repo.repo_id, commit_message="Trainwise export")
    except HFValidationError as error:
        raise ExportError(f"`{repository}` is no name for a model: write it as owner/name.") from error
    except Exception as error:  # the edge: the hub's client, its HTTP library and Xet have their own kinds
        raise ExportError(_upload_refusal(repository, error)) from error
    return str(repo)


def _upload_refusal(repository: str, error: BaseException) -> str:
    """What stopped an upload and what to do; the libraries' own text goes to the log by `from`."""
    chain = list(causes(error))
    status = next((s for one in chain if (s := status_of(one))), None)
    if status == 401:
        return "The hub does not know this token: make one with write access and set HF_TOKEN."
    if status in (403, 404):
        return f"This token may not write to `{repository}`: use one with write access, or your own name."
    if "metadata in README.md" in str(error):
        return f"The hub does not take the model card's head: {str(error).splitlines()[-1].lstrip('- ')}"
    if status:
        return f"The hub refused the upload to `{repository}` (status {status}): try again later."
    if any(type(one).__name__ == "OfflineModeIsEnabled" for one in chain):
        return "The model hub cannot be reached while HF_HUB_OFFLINE is set: unset it and push again."
    return (
        f"The model hub cannot be reached, or the upload to `{repository}` broke off "
        f"({type(chain[-1]).__name__}). Check the network, then push again: what arrived is not sent twice."
    )


def _merge(place: Path, card: dict[str, Any], out: Path) -> None:
    """The base with the merged adapter, in the format of `full` tuning."""
    plain = load(place).body  # loading has merged the adapter
    out.mkdir(parents=True)
    plain.save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "head.safetensors"):
        if (place / name).is_file():
            shutil.copy(place / name, out / name)
    if (place / LINEAR_HALF).is_dir():
        shutil.copytree(place / LINEAR_HALF, out / LINEAR_HALF)
    (out / CARD).write_text(json.dumps(_merged_card(card), indent=1))


def _merged_card(card: dict[str, Any]) -> dict[str, Any]:
    return card | {"method": MERGED, "merged_from": card["method"]}


def _name_base(out: Path, base_model: str) -> None:
    """An adapter names its base by hub id and commit, not by where it lay on the training machine."""
    file = out / "adapter_config.json"
    if not file.is_file():
        return
    hub_id, commit = hub_id_of(published_name(base_model))
    base = {"base_model_name_or_path": hub_id, "revision": commit}
    file.write_text(json.dumps(json.loads(file.read_text()) | base, indent=1))


def _copy_cards(place: Path, out: Path, plain: bool) -> None:
    """The model card under both its names; without one (a model from before there were any) none.

    A `plain` model loads without peft, and its hub card says so.
    """
    for folder in (place, place.parent):
        if (folder / MODEL_CARD).is_file():
            shutil.copy(folder / MODEL_CARD, out / MODEL_CARD)
            text = (folder / MODEL_CARD).read_text()
            head = text.replace("library_name: peft", "library_name: transformers", 1) if plain else text
            (out / HUB_CARD).write_text(head)
            return
