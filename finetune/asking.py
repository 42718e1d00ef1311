"""Many prompts to a language model at once, within a purse and a time, and what it answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from finetune.evaluation.prompting import AT_ONCE, LONGEST, SPARE, Purse, UnansweredError
from finetune.llm import Llm
from finetune.pricing import api_request, tokens_of
from finetune.progress import Progress

ALLOWED_S = 180.0


def fenced(text: str) -> str:
    """Text between fences that it cannot close; of a long one the end, where a dialogue's question stands."""
    return '"""\n' + text[-LONGEST:].replace('"""', "'''") + '\n"""'


def price_of(prompt: str, answer_tokens: int, priced: str, llm: Llm) -> float:
    """Dollars to set aside for one call."""
    return SPARE * api_request(llm.prices, priced, tokens_of([prompt]), answer_tokens)


def ask_all(
    llm: Llm,
    prompts: Sequence[str],
    answer_tokens: int,
    purse: Purse,
    priced: str,
    progress: Progress,
    allowed_s: float = ALLOWED_S,
) -> list[str | None]:
    """An answer per prompt, None where that one failed; UnansweredError where time, money or the server ends."""
    until = time.monotonic() + allowed_s
    found: list[str | None] = []

    def one(prompt: str) -> tuple[str | None, str]:
        aside = price_of(prompt, answer_tokens, priced, llm)
        if not purse.set_aside(aside):
            return None, "the spending cap was reached."
        try:
            said = llm.ask(prompt)
        except Exception as error:  # the edge to a foreign server: whatever it does is a missing answer
            return None, f"the model did not answer ({type(error).__name__})."
        purse.settle(aside, said)
        return said.text.strip(), ""

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask") as pool:
        for at in range(0, len(prompts), AT_ONCE):
            progress.check()
            if time.monotonic() > until:
                raise UnansweredError(f"{len(found)} of {len(prompts)} answers came in the time there was.")
            made = list(pool.map(one, prompts[at : at + AT_ONCE]))
            if why := next((why for _, why in made if "cap" in why), ""):
                raise UnansweredError(why)
            if all(why for _, why in made):
                raise UnansweredError(made[0][1])
            found += [text for text, _ in made]
    return found
