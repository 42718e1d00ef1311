"""What cleaning cuts from mail: precision of what is cut, recall of signatures and of quoted history, over 400 texts with gold spans.

`python benchmarks/cleaning.py`: both voices; `--quick`: the development voice; `--misses N`: show N of its errors; `--json`. The baseline is
the usual cut at the first "wrote:", "From:", "--" or sign-off. Characters that are no blank are counted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cleaning_cases import Mail, mails
from finetune.data.clutter import is_automatic, without_history, without_signature
from finetune.data.markup import plain


def ours(text: str) -> str:
    """The product's steps in their order."""
    return "" if is_automatic(text) else without_signature(without_history(plain(text)))


def usual(text: str) -> str:
    """Cut at the first line that looks like the end of a message."""
    match = re.search(
        r"^(?:.*wrote:.*|From:.*|-{2,}.*|(?:best|kind|regards|thanks|cheers).*)$", text, re.I | re.M
    )
    return text[: match.start()] if match else text


def kept_places(text: str, rest: str) -> list[bool]:
    """For each character of the text whether it is still there; what is left is a subsequence of it."""
    marks = [False] * len(text)
    start = text.find(rest.strip())
    if rest.strip() and start >= 0:
        marks[start : start + len(rest.strip())] = [True] * len(rest.strip())
        return marks
    for block in SequenceMatcher(None, text, rest, autojunk=False).get_matching_blocks():
        marks[block.a : block.a + block.size] = [True] * block.size
    return marks


def score(texts: Sequence[Mail], work: Callable[[str], str], misses: int = 0) -> dict[str, Any]:
    """Precision of cuts and recall by kind, in characters; parts cut whole; mails left exactly right."""
    cut: Counter[str] = Counter()
    total: Counter[str] = Counter()
    exact = 0
    start = time.process_time()
    for mail in texts:
        rest = work(mail.text)
        places, at, is_right = kept_places(mail.text, rest), 0, True
        for part in mail.parts:
            stretch = [
                not here
                for here, letter in zip(places[at : at + len(part.text)], part.text, strict=True)
                if not letter.isspace()
            ]
            cut[part.kind] += sum(stretch)
            total[part.kind] += len(stretch)
            is_right &= all(stretch) if part.goes else not any(stretch)
            at += len(part.text) + 2
        exact += is_right
        if not is_right and misses > 0:
            misses -= 1
            print(f"--- {mail.shape}\n{mail.text}\n==>\n{rest}", file=sys.stderr)
    all_cut = sum(cut.values())
    right = cut["signature"] + cut["history"]
    return {
        "mails": len(texts),
        "precision": round(right / max(1, all_cut), 4),
        "recall": {kind: round(cut[kind] / max(1, total[kind]), 4) for kind in ("signature", "history")},
        "lost": {kind: cut[kind] for kind in ("own", "code", "log", "forward") if total[kind]},
        "exact": round(exact / len(texts), 4),
        "ms_per_mail": round(1000 * (time.process_time() - start) / len(texts), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--misses", type=int, default=0)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for voice in ("development",) if options.quick or options.misses else ("development", "held out"):
        texts = mails(voice)
        results[voice] = {"ours": score(texts, ours, options.misses), "usual": score(texts, usual)}
        for name, line in results[voice].items():
            recall = line["recall"]
            print(
                f"{voice}, {name}: precision {line['precision']:.3f}, recall of signatures {recall['signature']:.3f}, of history "
                f"{recall['history']:.3f}; {100 * line['exact']:.1f}% of {line['mails']} mails exactly right; lost characters {line['lost']}"
            )
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
