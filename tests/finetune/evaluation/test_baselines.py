"""Which cheap method is the one to beat: named by rows that are not held out, and by more of them where they are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from finetune.evaluation.baselines import LOGISTIC, WORDS_SVM, CheapMethods, score_baselines
from finetune.evaluation.sample import Sample
from finetune.progress import silent
from tests.finetune.measurement.measuring import cut_sample

pytestmark = pytest.mark.integration


def with_wrong_labels(sample: Sample) -> Sample:
    """The same rows, the choosing ones labelled as another class."""
    labels = sample.labels.copy()
    labels[sample.once.dev] = (labels[sample.once.dev] + 1) % len(sample.names)
    return replace(sample, labels=labels)


def choosing_scores(sample: Sample) -> dict[str, float | None]:
    """Each cheap method's score on the choosing rows."""
    systems, _ = score_baselines(sample, CheapMethods(sample), "accuracy", silent())
    return {system.name: system.choosing_score for system in systems}


def test_few_validation_rows_do_not_choose_the_method_alone() -> None:
    """20 choosing rows, all labelled wrong, hardly move a score that 140 rows give."""
    sample = with_wrong_labels(cut_sample(120, 20, 40))
    assert CheapMethods(sample).validation_rows == 140
    scores = choosing_scores(sample)
    for name in (LOGISTIC, WORDS_SVM):
        assert 0.7 < (scores[name] or 0) < 0.9, name  # 20 of 140 are wrong by design


def test_many_choosing_rows_choose_alone() -> None:
    """160 rows are enough: their labels decide, and wrong ones show."""
    sample = with_wrong_labels(cut_sample(200, 160, 40))
    assert CheapMethods(sample).validation_rows == 160
    assert (choosing_scores(sample)[LOGISTIC] or 0) < 0.2


def test_copies_stay_on_one_side_while_choosing() -> None:
    """A ticket and its copy are never one trained on and one scored."""
    sample = cut_sample(120, 20, 40)
    copies = tuple(replace(row, text=sample.rows[at // 2 * 2].text) for at, row in enumerate(sample.rows))
    folds = CheapMethods(replace(sample, rows=copies)).validation_folds
    assert len(folds) > 1
    for fold in folds:
        sides = [{copies[at].text for at in side} for side in (fold.train, fold.test)]
        assert not sides[0] & sides[1]
    assert np.array_equal(np.sort(np.concatenate([fold.test for fold in folds])), np.arange(140))


def test_copies_of_one_ticket_choose_as_before() -> None:
    """Where all rows are copies of each other there is no other way to cut them than the choosing rows."""
    sample = cut_sample(120, 20, 40)
    copies = tuple(replace(row, text="the same") for row in sample.rows)
    assert CheapMethods(replace(sample, rows=copies)).validation_rows == 20
