from dataclasses import replace

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


def drawn_lists(seed, *, told):
    """200 lists of ten; the rankers know a little, and ``told`` makes what is counted of labels."""
    generator = np.random.default_rng(seed)
    labels = (generator.random((200, 10)) < 0.2).astype(np.float32)
    dnn, transformer = (
        (0.5 * labels + generator.normal(size=labels.shape)).astype(np.float32) for _ in range(2)
    )
    counted = told(labels, generator).astype(np.float32)
    return Scored(dnn, transformer, labels, np.ones_like(labels, dtype=bool), counted)


def test_what_is_counted_weighs_something_only_where_it_helps():
    helps = drawn_lists(1, told=lambda labels, draw: labels + draw.normal(size=labels.shape))
    misleads = drawn_lists(1, told=lambda labels, draw: -labels + draw.normal(size=labels.shape))
    silent = drawn_lists(1, told=lambda labels, draw: np.zeros_like(labels))
    weighed = fit_fusion([helps])
    assert weighed.counted_weight > 0.0
    assert mean_ndcg(weighed, [helps]) > mean_ndcg(replace(weighed, counted_weight=0.0), [helps])
    assert fit_fusion([misleads]).counted_weight == 0.0
    assert fit_fusion([silent]).counted_weight == 0.0
    assert fit_fusion([replace(helps, counted_LC=None)]).counted_weight == 0.0


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
