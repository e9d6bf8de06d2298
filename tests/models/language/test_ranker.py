"""The ranker: what its scores depend on, what it learns, and the mistakes it must not make."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from domain.errors import BadInputError
from models.language.augmentation import Augmentation, TextNoise
from models.language.config import PretrainingConfig, RankerConfig
from models.language.judged import JudgedList, ndcg_of_lists
from models.language.lists import JudgedLists
from models.language.mlm import LanguageModel, pretrain
from models.language.network import states
from models.language.ranker import (
    BertRanker,
    CrossEncoder,
    list_loss,
    scores_of_pairs,
    train_ranker,
)
from models.language.tokenizer import WordPieceTokenizer
from models.language.tokens import Tokens
from models.loop import LoopConfig

LOOP = LoopConfig(epochs=4, learning_rate=5e-3, warmup_steps=1, patience=0)
PAIRS = [("lantern", "steel lantern 4 in."), ("hose", "hose"), ("brass", "white brass " * 5)]


@pytest.fixture
def config(size):
    return RankerConfig(size=size, batch_lists=8, loop=LOOP)


@pytest.fixture
def ranker(size, tokenizer):
    torch.manual_seed(0)
    network = CrossEncoder(size, len(tokenizer)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return BertRanker(network, tokenizer, size)


def batches_of(lists, tokenizer, device, **changed):
    given = {"max_tokens": 24, "batch_lists": 8, "seed": 1, "device": device.device}
    return JudgedLists(lists, tokenizer, **{**given, **changed})


def ndcg(ranker, lists):
    return float(ndcg_of_lists(ranker.scores_of_lists(lists), lists, k=10).mean())


def chance(lists, times=200):
    generator = np.random.default_rng(0)
    return np.mean(
        [
            ndcg_of_lists([generator.random(len(each.labels)) for each in lists], lists, k=10)
            for _ in range(times)
        ]
    )


def test_one_finite_score_a_pair_in_the_order_asked(ranker):
    scores = ranker.scores(PAIRS)
    assert scores.shape == (3,)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert np.allclose(ranker.scores(PAIRS[::-1]), scores[::-1], atol=1e-5)
    assert ranker.scores([]).shape == (0,)


def test_padding_and_company_never_change_a_score(ranker):
    together = ranker.scores(PAIRS)
    alone = np.concatenate([ranker.scores([pair]) for pair in PAIRS])
    assert np.allclose(together, alone, atol=1e-5)
    assert len(set(np.round(together, 3))) == 3


def test_without_the_attention_mask_padding_would_change_a_score(ranker, tokenizer):
    # The reference text's batches came without one wherever its tokenizer was not asked to pad.
    tokens = tokenizer.encode(PAIRS, max_tokens=24).tokens(np.arange(3), torch.device("cpu"))
    longest = tokens.ids_BT.shape[1]
    without = Tokens(tokens.ids_BT, tokens.type_BT, torch.full((3,), longest))
    with torch.inference_mode():
        wrong, right = ranker.network(without).numpy(), ranker.network(tokens).numpy()
    assert np.allclose(right, ranker.scores(PAIRS), atol=1e-5)
    assert not np.allclose(wrong[:2], right[:2], atol=1e-3)


def test_it_is_told_which_words_are_the_query(ranker, tokenizer):
    tokens = tokenizer.encode(PAIRS[:1], max_tokens=24).tokens(np.arange(1), torch.device("cpu"))
    untold = Tokens(tokens.ids_BT, torch.zeros_like(tokens.type_BT), tokens.length_B)
    with torch.inference_mode():
        assert not torch.allclose(
            states(ranker.network.bert, tokens), states(ranker.network.bert, untold), atol=1e-3
        )
    swapped = ranker.scores([(PAIRS[0][1], PAIRS[0][0])])
    assert abs(swapped - ranker.scores(PAIRS[:1]))[0] > 1e-3


def test_scoring_has_no_dropout_and_leaves_training_as_it_was(size, tokenizer):
    torch.manual_seed(0)
    network = CrossEncoder(replace(size, dropout=0.5), len(tokenizer)).train()
    ranker = BertRanker(network, tokenizer, size)
    assert np.array_equal(ranker.scores(PAIRS), ranker.scores(PAIRS))
    assert network.training


def test_texts_of_any_length_share_a_batch_with_every_label(lists, tokenizer, cpu):
    # The reference text's data set gave each text alone in a batch of its own, and no label.
    odd = JudgedList("hose", ("hose", "garden hose " * 40, "漢"), (0.0, 1.0, 3.0))
    batch = next(iter(batches_of([*lists[:2], odd], tokenizer, cpu).epoch(0)))
    assert batch.ids_LCT.shape == batch.type_LCT.shape == (3, 6, 24)
    assert batch.mask_LC.sum(dim=1).tolist().count(3) == 1
    assert len(batch) == 3
    given = sorted(batch.label_LC[batch.mask_LC].tolist())
    assert given == sorted([*lists[0].labels, *lists[1].labels, *odd.labels])
    assert not batch.label_LC[~batch.mask_LC].any()
    assert len(batch.pairs) == 15


def test_a_label_stays_with_its_item(tokenizer, cpu):
    judged = [
        JudgedList(f"q {kind}", (f"{kind} hose", "paint"), (float(place + 1), 0.0))
        for place, kind in enumerate(("steel", "brass", "white"))
    ]
    ids = {kind: tokenizer.encode([kind], max_tokens=8).ids_N[1] for kind in ("steel", "brass")}
    for noise in (None, Augmentation(item=TextNoise(swap=1.0), share=1.0)):
        batch = next(iter(batches_of(judged, tokenizer, cpu, augmentation=noise).epoch(0)))
        for kind, label in (("steel", 1.0), ("brass", 2.0)):
            has = (batch.ids_LCT * batch.type_LCT == int(ids[kind])).any(dim=2)
            assert batch.label_LC[has].tolist() == [label]


def test_scores_of_a_batch_are_in_the_order_of_its_pairs(ranker, lists, tokenizer, cpu):
    batch = next(iter(batches_of(lists, tokenizer, cpu).epoch(0)))
    with torch.inference_mode():
        whole = ranker.network(batch.pairs)
        parts = scores_of_pairs(ranker.network, batch.pairs, parts=4)
    assert torch.allclose(whole, parts, atol=1e-5)


def test_shares_of_a_batch_add_up_to_its_loss(ranker, lists, tokenizer, cpu):
    batch = next(iter(batches_of(lists, tokenizer, cpu).epoch(0)))
    shares = [batch.share(number, 3) for number in range(3)]
    total = sum(list_loss(ranker.network, each).item() * len(each) for each in shares)
    whole = list_loss(ranker.network, batch).item()
    assert total / len(batch) == pytest.approx(whole, abs=1e-5)


def test_lists_that_teach_nothing_are_left_out_and_none_at_all_is_an_error(lists, tokenizer, cpu):
    alike = JudgedList("q", ("a", "b"), (1.0, 1.0))
    assert batches_of([*lists, alike], tokenizer, cpu).list_count == 60
    assert len(batches_of(lists, tokenizer, cpu)) == 8
    with pytest.raises(ValueError, match="none of 1 lists"):
        batches_of([alike], tokenizer, cpu)


def test_every_list_is_there_once_an_epoch_in_another_order(lists, tokenizer, cpu):
    batches = batches_of(lists, tokenizer, cpu)
    first, again, second = (
        [batch.ids_LCT.tolist() for batch in batches.epoch(number)] for number in (0, 0, 1)
    )
    assert first == again != second
    texts = [sorted(str(each) for batch in epoch for each in batch) for epoch in (first, second)]
    assert len(texts[0]) == len(set(texts[0])) == 60


def test_augmented_texts_are_seeded_and_new_every_epoch(lists, tokenizer, cpu):
    def epoch(number, **changed):
        batches = batches_of(lists, tokenizer, cpu, augmentation=Augmentation(), **changed)
        return [batch.ids_LCT.tolist() for batch in batches.epoch(number)]

    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)
    assert epoch(0) != epoch(0, seed=2)


class Recording:
    """A tokenizer that remembers what it was given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.given, self.hash = tokenizer, [], tokenizer.hash

    def __len__(self):
        return len(self.tokenizer)

    def encode(self, texts, *, max_tokens):
        self.given.append(list(texts))
        return self.tokenizer.encode(texts, max_tokens=max_tokens)


def test_only_training_texts_are_augmented(lists, tokenizer, config, cpu):
    recording = Recording(tokenizer)
    noise = TextNoise(dropout=0.9, typo=1.0)
    once = replace(config, loop=replace(LOOP, epochs=1))
    ranker, _ = train_ranker(
        lists[:20],
        recording,
        config=once,
        augmentation=Augmentation(noise, noise, share=1.0),
        validation=lists[20:30],
        device=cpu,
    )
    *training, validation = recording.given
    as_judged = {pair for each in lists[:20] for pair in each.pairs}
    assert not as_judged & {pair for pairs in training for pair in pairs}
    assert validation == [pair for each in lists[20:30] for pair in each.pairs]
    ranker.scores(PAIRS)
    assert recording.given[-1] == PAIRS


def test_it_overfits_one_tiny_batch(tokenizer, config, cpu):
    # Labels that follow no rule: they can only be learned by heart.
    generator = np.random.default_rng(0)
    few = [
        JudgedList(f"{number} hose", tuple(f"steel {number} {place} in." for place in range(4)),
                   tuple(map(float, generator.permutation(4) == 0)))
        for number in range(4)
    ]  # fmt: skip
    loop = replace(LOOP, epochs=60)
    ranker, history = train_ranker(few, tokenizer, config=replace(config, loop=loop), device=cpu)
    assert history.train_loss[-1] < 0.1
    assert history.train_loss[0] > 0.5
    assert ndcg(ranker, few) == 1.0


def test_twenty_seeded_steps_end_at_the_golden_loss(lists, tokenizer, config, cpu):
    once = replace(config, batch_lists=3, loop=replace(LOOP, epochs=1))
    steps = []
    _, history = train_ranker(
        lists,
        tokenizer,
        config=once,
        device=cpu,
        progress=lambda *_, total, **__: steps.append(total),
    )
    assert steps[-1] == 20
    assert history.train_loss[0] == pytest.approx(GOLDEN, abs=2e-3)


GOLDEN = 0.2512


def test_it_finds_what_is_wanted_and_with_shuffled_labels_it_is_chance(
    lists, tokenizer, config, cpu
):
    train, test = lists[:40], lists[40:]
    generator = np.random.default_rng(1)
    shuffled = [
        replace(each, labels=tuple(generator.permutation(each.labels).tolist())) for each in train
    ]
    learned, _ = train_ranker(train, tokenizer, config=config, device=cpu)
    mixed_up, _ = train_ranker(shuffled, tokenizer, config=config, device=cpu)
    assert ndcg(learned, test) > 0.98
    assert ndcg(mixed_up, test) == pytest.approx(chance(test), abs=0.15)
    assert chance(test) < 0.75


@pytest.fixture(scope="module")
def pretrained(titles, tokenizer, size, cpu):
    config = PretrainingConfig(size=size, batch_tokens=400, loop=replace(LOOP, epochs=1))
    model, _ = pretrain(titles, tokenizer, config=config, device=cpu)
    return model


def encoder_weights(network):
    return torch.cat([value.flatten() for value in network.state_dict().values()])


def test_a_pre_trained_ranker_starts_where_pre_training_ended(
    lists, tokenizer, config, pretrained, cpu
):
    # The reference text speaks of pre-training and never does any.
    start = encoder_weights(pretrained.network.body.bert)
    # Rate 0: what comes out of fit is what went in.
    still = replace(config, loop=replace(LOOP, epochs=1, learning_rate=0.0))
    kept, _ = train_ranker(lists, tokenizer, config=still, pretrained=pretrained, device=cpu)
    scratch, _ = train_ranker(lists, tokenizer, config=still, device=cpu)
    assert torch.equal(encoder_weights(kept.network.bert), start)
    assert not torch.allclose(encoder_weights(scratch.network.bert), start, atol=1e-2)
    tuned, _ = train_ranker(lists, tokenizer, config=config, pretrained=pretrained, device=cpu)
    assert not torch.allclose(encoder_weights(tuned.network.bert), start, atol=1e-2)
    assert torch.equal(encoder_weights(pretrained.network.body.bert), start)


def test_a_pre_trained_model_of_another_size_or_vocabulary_is_refused(
    lists, titles, tokenizer, config, pretrained
):
    wider = replace(config, size=replace(config.size, width=64))
    with pytest.raises(ValueError, match="pre-trained model has size"):
        train_ranker(lists, tokenizer, config=wider, pretrained=pretrained)
    other = WordPieceTokenizer.train(titles, vocabulary_size=100)
    with pytest.raises(ValueError, match="expected"):
        train_ranker(lists, other, config=config, pretrained=pretrained)


def test_saved_and_loaded_it_gives_the_same_scores(ranker, tmp_path):
    scores = ranker.scores(PAIRS)
    ranker.save(tmp_path / "ranker")
    assert np.array_equal(BertRanker.load(tmp_path / "ranker").scores(PAIRS), scores)
    with pytest.raises(BadInputError, match="bert_ranker"):
        LanguageModel.load(tmp_path / "ranker")


def test_a_weight_that_is_no_number_is_not_saved(ranker, tmp_path):
    with torch.no_grad():
        ranker.network.head[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        ranker.save(tmp_path / "ranker")
    assert not (tmp_path / "ranker").exists()


def test_a_killed_training_goes_on_where_it_was(lists, tokenizer, config, cpu, tmp_path):
    def trained(checkpoint=None, progress=None):
        extra = {"progress": progress} if progress else {}
        return train_ranker(
            lists, tokenizer, config=config, checkpoint=checkpoint, device=cpu, **extra
        )

    def killed(_stage, message, **_):
        if message.startswith("epoch 3/4 done"):
            raise KeyboardInterrupt

    config = replace(config, loop=replace(LOOP, checkpoint_every_s=0.0))
    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(path, killed)
    whole, resumed = trained()[0], trained(path)[0]
    assert np.array_equal(whole.scores(PAIRS), resumed.scores(PAIRS))
