"""The form that asks which column is which asks about several labels only where the chosen column has some."""

from __future__ import annotations

from pathlib import Path

from bot.slack.ui.column_form import SEVERAL_WAYS, Upload, columns_modal
from bot.slack.ui.limits import validate_view
from finetune.data.labels import SEVERAL
from finetune.data.reading import preview

UPLOAD = Upload("C0123456789", "F0123456789", "tickets", "channel", "ours")


def test_several_labels_are_asked_about_for_the_column_that_has_them(tmp_path: Path) -> None:
    """Each way that reading knows can be chosen; another column takes the question away."""
    rows = "".join(
        f'the thing of number {n} fell down,"{"refund, billing" if n % 4 else "billing"}",{"ab"[n % 2]}\n'
        for n in range(40)
    )
    path = tmp_path / "tickets.csv"
    path.write_text(f"text,tags,team\n{rows}")
    head = preview(path)
    form = validate_view(
        columns_modal(UPLOAD, path.name, head, {"text": "c0", "label": "c1", "several": "leave-out"})
    )
    [question] = [block for block in form["blocks"] if block.get("block_id") == "several"]
    assert "75% of the first rows have several" in question["hint"]["text"]
    assert question["element"]["initial_option"]["value"] == "leave-out"
    assert list(SEVERAL_WAYS) == list(SEVERAL)
    other = columns_modal(UPLOAD, path.name, head, {"text": "c0", "label": "c2"})
    assert not any(block.get("block_id") == "several" for block in other["blocks"])
