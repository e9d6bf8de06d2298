import importlib.util
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from domain.schemas import MARTS
from models.catalog import Catalog
from models.data import TrainingData
from models.presets import PRESETS
from models.ranking.exam import plan_exam, prepare_exam
from models.ranking.prepare import Preparation, fit_early_sources, join_features, make_all_lists
from models.ranking.prepare import read_lists as lists_of_a_release
from models.ranking.windows import WindowConfig, plan_windows

pytestmark = pytest.mark.slow
PRESET = PRESETS["debug"]


@pytest.fixture(scope="module")
def hand_join():
    helper = Path(__file__).parents[1] / "hand_join.py"
    spec = importlib.util.spec_from_file_location("hand_join", helper)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.HandJoin


def data_of(planted, examples, until):
    return TrainingData(until, examples, MARTS["ranking_examples"].empty_table(), planted.items)


@pytest.fixture(scope="module")
def text():
    drawn = np.random.default_rng(1).normal(size=(42, 8)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def make(planted, hand_join, text, folder, examples):
    known = data_of(planted, planted.before(planted.cutoff), planted.cutoff)
    later = data_of(planted, examples, planted.until)
    return prepare_exam(
        known, later, text_VE=text, preset=PRESET, folder=folder, join=hand_join(examples)
    )


@pytest.fixture(scope="module")
def exam(planted, hand_join, text, tmp_path_factory):
    return make(planted, hand_join, text, tmp_path_factory.mktemp("exam"), planted.examples)


def test_train_and_validation_are_byte_for_byte_those_of_a_release(
    exam, planted, hand_join, text, tmp_path
):
    known = data_of(planted, planted.before(planted.cutoff), planted.cutoff)
    plan = plan_windows(first_day=known.first_day, until=known.until, config=PRESET.windows)
    work = Preparation(
        known,
        Catalog.from_table(known.items),
        text,
        plan,
        PRESET,
        tmp_path,
        lambda *_, **__: None,
    )
    join_features(work, hand_join(known.interactions))
    fit_early_sources(work)
    make_all_lists(work)
    train, validation = lists_of_a_release(work)
    for ours, theirs in [
        (exam.train, train),
        *((exam.validation[t], validation[t]) for t in validation),
    ]:
        np.testing.assert_array_equal(ours.features_LCF, theirs.features_LCF)
        np.testing.assert_array_equal(ours.item_index_LC, theirs.item_index_LC)
        np.testing.assert_array_equal(ours.labels_LC, theirs.labels_LC)


def test_what_happens_in_the_test_changes_its_labels_and_nothing_else(
    exam, planted, hand_join, text, tmp_path
):
    # The same users come in the test window, and all buy one and the same item.
    rows = planted.examples.to_pylist()
    moved = [
        row if row["event_date"] < planted.cutoff else {**row, "item_id": "i000"} for row in rows
    ]
    changed = pa.Table.from_pylist(moved, schema=planted.examples.schema)
    other = make(planted, hand_join, text, tmp_path, changed)
    np.testing.assert_array_equal(other.train.labels_LC, exam.train.labels_LC)
    for task, lists in exam.test.items():
        np.testing.assert_array_equal(other.test[task].features_LCF, lists.features_LCF)
        np.testing.assert_array_equal(other.test[task].item_index_LC, lists.item_index_LC)
    wanted, before = (
        set(each.test["any"].item_index_LC[each.test["any"].labels_LC > 0])
        for each in (other, exam)
    )
    assert wanted == {2}  # i000 is the first item
    assert len(before) > 1


def test_new_holds_nothing_that_was_bought(exam):
    # Every user of the planted shop has bought something: `new` has fewer candidates.
    assert exam.test["new"].mask_LC.sum() < exam.test["any"].mask_LC.sum()


def test_the_windows_lie_in_order_and_the_test_begins_at_the_cutoff(planted):
    plan = plan_exam(
        first_day=planted.cutoff - timedelta(days=80),
        cutoff=planted.cutoff,
        config=WindowConfig(days=10, train_count=3),
    )
    windows = (*plan.train, plan.validation)
    assert len(windows) == 5
    for before, after in pairwise(windows):
        assert before.end == after.start
    assert plan.validation.start == planted.cutoff
    assert plan.validation.end == planted.cutoff + timedelta(days=10)


def test_a_finished_step_is_not_done_again(exam, planted, hand_join, text, tmp_path):
    folder = tmp_path / "twice"
    make(planted, hand_join, text, folder, planted.examples)
    known = data_of(planted, planted.before(planted.cutoff), planted.cutoff)

    def never(*_, **__):
        raise AssertionError("joined again")

    again = prepare_exam(
        known,
        replace(known, until=planted.until),
        text_VE=text,
        preset=PRESET,
        folder=folder,
        join=never,
    )
    np.testing.assert_array_equal(again.test["any"].labels_LC, exam.test["any"].labels_LC)


def test_the_test_may_be_longer_than_the_validation(planted):
    first, until = planted.examples["event_date"][0].as_py(), planted.cutoff
    plan = plan_exam(
        first_day=first, cutoff=until, config=WindowConfig(7, 1), end=until + timedelta(days=20)
    )
    as_long = plan_exam(first_day=first, cutoff=until, config=WindowConfig(7, 1))
    assert plan.train == as_long.train
    assert (plan.validation.start, plan.validation.end) == (until, until + timedelta(days=20))
