"""Token prices of tuning from the settings: offers, budget check, and the final cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.platforms.chats import TRAIN, tokens_of
from finetune.platforms.contract import NotMade, Offer, Submission
from finetune.platforms.machine_prices import token_prices_of

SPARE = 0.9  # of the budget is for training; the rest asks the model about the held-out tickets


@dataclass(frozen=True)
class TokenPrice:
    """US dollars a million tokens: trained, read and written by the tuned model."""

    training: float
    reading: float
    writing: float


@dataclass(frozen=True)
class PriceList:
    """The prices of one platform (`label`) by base model, from the setting `variable`, with their day."""

    label: str
    variable: str
    prices: Mapping[str, TokenPrice]
    as_of: str

    def offers(self, labels: Mapping[str, str] | None = None) -> list[Offer]:
        """The base models, cheapest first: those of `labels` with the label of each, else all by their own names."""
        offers = [
            Offer(name, label, 0.0, self.as_of, usd_per_million=self.prices[name].training)
            for name, label in (labels or {name: name for name in self.prices}).items()
        ]
        return sorted(offers, key=lambda offer: offer.usd_per_million)

    def price_of(self, base_model: str) -> TokenPrice:
        """The settings' price; of a name that they do not hold that of the name it begins with, else the dearest."""
        alike = [name for name in self.prices if base_model.startswith(name)]
        if alike:
            return self.prices[max(alike, key=len)]
        return max(self.prices.values(), key=lambda price: price.training)

    def afford(self, submission: Submission, least_examples: int) -> None:
        """NotMade where there are too few rows, no price, or a budget that does not pay for the tokens."""
        examples, epochs = submission.files[TRAIN].count(b"\n"), epochs_of(submission)
        if examples < least_examples:
            raise NotMade(
                f"{self.label} tunes on {least_examples} rows or more, these are {examples}: add tickets."
            )
        price = self.prices.get(submission.machine)
        if price is None:
            raise NotMade(f"{submission.machine} has no price in {self.variable} any more: add it.")
        usd = tokens_to_train(submission) / 1e6 * price.training
        if submission.budget_usd is not None and usd > SPARE * submission.budget_usd:
            raise NotMade(
                f"{self.label} would ask up to ${usd:,.2f} for {examples} rows and {epochs} epochs, and a tenth of the "
                f"budget of ${submission.budget_usd:,.2f} is kept for measuring: give it more, or fewer epochs."
            )


def epochs_of(submission: Submission) -> int:
    """How often the rows are gone through."""
    return int(submission.recipe.get("epochs") or 1)


def tokens_to_train(submission: Submission) -> float:
    """The tokens that a job trains, by the bytes of its rows: rather too many than too few."""
    return tokens_of(submission.files[TRAIN], epochs_of(submission))


def price_list(label: str, variable: str, text: str, as_of: str) -> PriceList:
    """The prices in a setting's text; PlatformError names the part that is none."""
    table = {name: TokenPrice(*three) for name, three in token_prices_of(text, variable).items()}
    return PriceList(label, variable, table, as_of)
