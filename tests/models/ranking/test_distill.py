from dataclasses import replace

import numpy as np
import pytest
import torch

from models.device import Device
from models.loop import LoopConfig
from models.ranking.config import SmallerConfig, TransformerConfig
from models.ranking.distill import (
    fit_student,
    held_at_zero,
    lesson_of,
    prune_and_mend,
    prune_items,
)
from models.ranking.judge import list_ndcg, score_lists
from models.ranking.train import TrainContext
from models.ranking.transformer import CandidateTransformer

COLUMNS = slice(10, 14)
LOOP = LoopConfig(epochs=40, learning_rate=0.01, warmup_steps=1, patience=0, validate_every=40)
CONFIG = SmallerConfig(
    width=8, label_share=0.0, pruned_share=0.5, loop=LOOP, mending=replace(LOOP, epochs=3)
)
CPU = TrainContext(seed=3, device=Device(torch.device("cpu"), False, "test"))


@pytest.fixture
def teacher(text_VE):
    """Has learned nothing: its scores say nothing of the labels."""
    torch.manual_seed(3)
    config = TransformerConfig(width=16, dropout=0.0, batch_lists=4)
    return CandidateTransformer(config, torch.from_numpy(text_VE), 4).eval()


@pytest.fixture
def lesson(teacher, lists):
    some = lists.take(np.arange(4))
    return lesson_of(teacher, some, some, item_columns=COLUMNS)


def student_of(teacher, lesson, **changes):
    return fit_student(teacher, lesson, config=replace(CONFIG, **changes), context=CPU)


def error(student, lesson):
    mask_LC = lesson.train.mask_LC
    scores_LC = score_lists(student, lesson.train)
    return float(np.std(scores_LC[mask_LC] - lesson.teacher_LC[mask_LC]))


def test_a_student_of_half_the_width_learns_its_teachers_scores(teacher, lesson):
    student, history = student_of(teacher, lesson)
    assert student.config.width == 8 and student.config.blocks == 0
    spread = float(np.std(lesson.teacher_LC[lesson.train.mask_LC]))
    assert error(student, lesson) < 0.5 * spread
    assert history.train_loss[-1] < 0.3 * history.train_loss[0]


def test_a_student_of_the_labels_alone_does_not_learn_its_teacher(teacher, lesson):
    labels = lesson.train.labels_LC
    taught, told = (
        score_lists(student_of(teacher, lesson, label_share=share)[0], lesson.train)
        for share in (0.0, 1.0)
    )
    assert list_ndcg(told, labels) > list_ndcg(taught, labels) + 0.1


def test_the_same_seed_gives_the_same_student(teacher, lesson):
    one, other = (student_of(teacher, lesson, loop=replace(LOOP, epochs=2))[0] for _ in range(2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_the_least_id_embeddings_are_pruned_and_padding_does_not_count(teacher):
    norms = teacher.ids.weight.norm(dim=1).detach()
    prune_items(teacher, 0.25)
    is_zero = (teacher.ids.weight == 0).all(dim=1)
    # 48 items are known: 12 go, and padding was 0 before.
    assert int(is_zero.sum()) == 12 + 1
    assert norms[2:][is_zero[2:]].max() <= norms[2:][~is_zero[2:]].min()
    assert not is_zero[1]  # the unknown item


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_refused(teacher, share):
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        prune_items(teacher, share)


def test_pruned_weights_stay_zero_and_the_others_learn(teacher, lesson):
    student, _ = student_of(teacher, lesson, loop=replace(LOOP, epochs=2))
    before = student.ids.weight.detach().clone()
    history = prune_and_mend(student, lesson, config=CONFIG, context=CPU)
    is_zero = (student.ids.weight == 0).all(dim=1)
    assert int(is_zero.sum()) == 24 + 1
    assert not torch.equal(student.ids.weight[~is_zero], before[~is_zero])
    assert len(history.train_loss) == 3


def test_nothing_is_held_after_mending(teacher):
    prune_items(teacher, 1.0)
    weight = teacher.ids.weight
    with held_at_zero(weight):
        weight.sum().backward()
        assert (weight.grad[2:] == 0).all()
    weight.grad = None
    weight.sum().backward()
    assert (weight.grad == 1).all()


def test_a_killed_training_goes_on_to_the_same_student(teacher, lesson, tmp_path):
    class Killed(Exception):
        pass

    def die(stage, message, **_):
        if stage == "distilled" and "epoch 2/" in message:
            raise Killed

    config = replace(CONFIG, loop=replace(LOOP, epochs=4, report_every_s=0, checkpoint_every_s=0))
    context = replace(CPU, checkpoint=tmp_path / "smaller.checkpoint")
    with pytest.raises(Killed):
        fit_student(teacher, lesson, config=config, context=replace(context, progress=die))
    assert (tmp_path / "smaller.distilled").exists()
    resumed, _ = fit_student(teacher, lesson, config=config, context=context)
    whole, _ = fit_student(teacher, lesson, config=config, context=CPU)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
