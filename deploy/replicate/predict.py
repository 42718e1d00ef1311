"""Cog wants a prediction beside a training; ours are made by the bot's own workers."""

from cog import BasePredictor


class Predictor(BasePredictor):
    """Says where predictions are made."""

    def predict(self) -> str:
        """Answers the one sentence."""
        return "This model is there to be trained by a Trainwise bot; its tickets are answered on the team's own workers."
