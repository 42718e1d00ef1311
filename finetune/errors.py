"""The one error base of finetune: `str(error)` is safe to show a user and says what to do next."""


class FinetuneError(Exception):
    """What went wrong and what the person can do about it, in one or two sentences.

    `retryable`: the same may work later with nothing changed, as something outside did not answer.
    """

    retryable = False
