import json
from datetime import timedelta

import numpy as np
import pytest

from domain.errors import BadInputError
from domain.progress import silent
from models.alone import train_alone
from models.data import TrainingData
from models.retrieval import PRESETS, RETRIEVERS


def trained(planted, tmp_path, name, *, judged_until=None):
    before = planted.before(planted.cutoff)
    return train_alone(
        name,
        TrainingData(planted.cutoff, before, before.slice(0, 0), planted.items),
        later=planted.examples,
        judged_until=judged_until or planted.until,
        preset=PRESETS["debug"],
        folder=tmp_path / name,
        text_VE=np.eye(len(planted.catalog), 8, dtype=np.float32),
        progress=silent,
    )


def test_a_model_alone_is_kept_and_judged_beside_popularity(planted, tmp_path):
    alone = trained(planted, tmp_path, "ease")
    assert set(alone.tasks) == {"any", "new"}
    for told in alone.tasks.values():
        assert told["user_count"] >= 20
        assert told["over_popularity"]["low"] > 0.0
    json.dumps(alone.tasks)
    loaded = RETRIEVERS["ease"].load(alone.folder)
    assert loaded.weights_VV.nnz > 0


def test_where_nothing_came_after_it_is_trained_and_not_judged(planted, tmp_path, caplog):
    assert trained(planted, tmp_path, "ease", judged_until=planted.cutoff).tasks == {}
    day = planted.cutoff + timedelta(days=1)
    assert trained(planted, tmp_path, "ease", judged_until=day).tasks == {}
    assert "not judged" in caplog.text


def test_an_unknown_model_is_refused_with_the_known_ones(planted, tmp_path):
    with pytest.raises(BadInputError, match=r"'bert'; there are popularity, .*next_item"):
        trained(planted, tmp_path, "bert")
