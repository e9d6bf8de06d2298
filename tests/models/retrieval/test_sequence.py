from dataclasses import replace

import numpy as np
import pytest

from models import validation
from models.device import training_threads
from models.histories import user_batch_at
from models.loop import LoopConfig
from models.retrieval import FitContext
from models.retrieval.config import SequenceConfig
from models.retrieval.sequence import SequenceRetriever

CONFIG = SequenceConfig(
    width=16,
    blocks=1,
    heads=1,
    batch_rows=32,
    loop=LoopConfig(epochs=3, patience=0, checkpoint_every_s=0.0),
)


def fit(planted, context=None, **changes):
    return SequenceRetriever.fit(
        planted.before(planted.cutoff),
        planted.catalog,
        until=planted.cutoff,
        config=replace(CONFIG, **changes),
        context=context,
    )


class Killed(Exception):
    pass


def test_a_killed_training_resumes_to_the_same_scores(planted, tmp_path):
    def kill(stage, message, *, done=None, total=None):
        if message.startswith("epoch 2/3 done"):
            raise Killed

    path = tmp_path / "sequence.checkpoint"
    with pytest.raises(Killed):
        fit(planted, FitContext(checkpoint=path, progress=kill))
    assert path.exists()
    resumed = fit(planted, FitContext(checkpoint=path))
    whole = fit(planted)
    batch = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)
    assert np.array_equal(resumed.scores(batch), whole.scores(batch))
    assert resumed.history.train_loss == whole.history.train_loss


def test_a_large_catalog_is_learned_with_sampled_negatives(planted, caplog):
    loop = LoopConfig(epochs=5, learning_rate=0.01, warmup_steps=5, patience=0)
    with caplog.at_level("INFO"):
        sampled = fit(planted, full_softmax_items=10, negatives=20, loop=loop)
    assert "sampled softmax: 20 shared negatives" in caplog.text
    assert sampled.history.train_loss[-1] < sampled.history.train_loss[0]


def test_validation_is_the_end_of_what_is_seen(planted, monkeypatch):
    seen = []
    real = validation.split_by_time

    def watch(examples, *, cutoff, until):
        seen.append((cutoff, until))
        return real(examples, cutoff=cutoff, until=until)

    monkeypatch.setattr(validation, "split_by_time", watch)
    history = fit(planted, validation_days=10).history
    assert [(planted.cutoff - cutoff).days for cutoff, _ in seen] == [10]
    assert seen[0][1] == planted.cutoff
    assert len(history.validation) == 3


def test_without_validation_every_day_is_learned_from(planted):
    history = fit(planted, validation_days=0).history
    assert history.validation == ()
    assert history.best_epoch == 2


def test_two_threads_give_the_same_scores_each_time(planted):
    batch = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)
    with training_threads(2):
        first, *others = (fit(planted, width=64, batch_rows=256).scores(batch) for _ in range(3))
    assert all(np.array_equal(first, other) for other in others)
