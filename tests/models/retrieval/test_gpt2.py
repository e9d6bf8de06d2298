"""What a recommender made of a language model must not do: words, and what its reader has."""

import numpy as np
import pytest
import torch

from models.histories import user_batch_at
from models.loop import LoopConfig
from models.retrieval.config import Gpt2Config
from models.retrieval.gpt2 import Gpt2Network, Gpt2Retriever

CONFIG = Gpt2Config(width=16, history_length=8, dropout=0.0, loop=LoopConfig(epochs=2))


@pytest.fixture
def written_by(planted):
    torch.manual_seed(0)
    retriever = Gpt2Retriever(Gpt2Network(CONFIG, len(planted.catalog)))
    with torch.no_grad():
        retriever.network.items.ids.normal_()
    return retriever, user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)


def test_of_ten_thousand_written_items_none_is_invalid_or_was_had(planted, written_by):
    retriever, users = written_by
    count, valid = 0, set(range(2, len(planted.catalog)))
    while count < 10_000:
        with torch.no_grad():
            retriever.network.items.ids.normal_()
        written = retriever.written(users, count=20)
        for row, items in enumerate(written):
            had = set(users.bought_BV[row].indices) | set(users.history_BT[row].tolist())
            assert set(items.tolist()) <= valid - had
            assert len(set(items.tolist())) == 20
        count += written.size


def test_what_is_written_is_the_highest_logit_and_then_goes_on_from_it(written_by):
    retriever, users = written_by
    first = retriever.written(users, count=1)[:, 0]
    scores = retriever.scores(users)
    scores[users.bought_BV.toarray() > 0] = -np.inf
    assert np.array_equal(first, scores.argmax(axis=1))
    longer = retriever.written(users, count=3)
    assert np.array_equal(longer[:, 0], first)


def test_nothing_to_go_on_from_and_too_much_asked_are_errors(planted, written_by):
    retriever, users = written_by
    nobody = user_batch_at(
        planted.examples, planted.catalog, until=planted.cutoff, user_ids=["nobody"]
    )
    with pytest.raises(ValueError, match="nothing to continue"):
        retriever.written(nobody, count=1)
    with pytest.raises(ValueError, match="not 40 items"):
        retriever.written(users, count=40)


def test_what_comes_later_never_changes_a_state():
    torch.manual_seed(0)
    network = Gpt2Network(CONFIG, 30).eval()
    tokens = torch.randn(3, 8, 16)
    other = tokens.clone()
    other[:, 5:] = 0.0
    with torch.inference_mode():
        assert torch.allclose(network(other)[:, :5], network(tokens)[:, :5], atol=1e-5)
