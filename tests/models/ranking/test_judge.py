import numpy as np
import pytest

from models.fusion import Calibration, Fusion
from models.ranking.judge import Scored, fit_fusion, list_ndcg, mean_ndcg

LABELS = np.array([[0.0, 2.0, 0.0, 1.0]])


def test_ndcg_by_hand():
    # Wanted at ranks 1 and 3 of two: (1 + 1/2) / (1 + 1/log2(3))
    scores = np.array([[2.0, 3.0, 1.0, 1.5]])
    assert list_ndcg(scores, LABELS) == pytest.approx(1.5 / (1 + 1 / np.log2(3)))


def test_ties_count_against_the_model():
    assert list_ndcg(np.zeros((1, 4)), np.array([[1.0, 0, 0, 0]])) == pytest.approx(1 / np.log2(5))


def test_lists_without_a_label_do_not_count():
    both = np.concatenate([LABELS, np.zeros((1, 4))])
    scores = np.array([[2.0, 3.0, 1.0, 1.5]] * 2)
    assert list_ndcg(scores, both) == list_ndcg(scores[:1], LABELS)


def test_padding_never_enters_the_fusion():
    mask = np.array([[True, True, False]])
    labels = np.array([[1.0, 0.0, 0.0]])
    scores = np.array([[1.0, 0.0, -np.inf]], dtype=np.float32)
    scored = [Scored(scores, scores, labels, mask)]
    fusion = fit_fusion(scored)
    assert np.isfinite([fusion.dnn.scale, fusion.dnn.offset, fusion.alpha]).all()
    for alpha in (0.0, 1.0):
        held = Fusion(Calibration(1.0, 0.0), Calibration(1.0, 0.0), alpha)
        assert mean_ndcg(held, scored) == 1.0
