"""Masks: how many, of what, how often new; and what the network learns from them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from domain.errors import BadInputError
from models.language.config import PretrainingConfig
from models.language.mlm import (
    LanguageModel,
    MaskedBatch,
    MaskedLanguageNetwork,
    MaskedTexts,
    masked,
    masked_loss,
    pretrain,
)
from models.language.ranker import BertRanker
from models.language.tokenizer import FIRST_WORD, MASK, WordPieceTokenizer
from models.language.tokens import Tokens
from models.loop import LoopConfig, fit

LOOP = LoopConfig(epochs=2, learning_rate=5e-3, warmup_steps=1, patience=0)


@pytest.fixture
def rows(tokenizer, titles):
    texts = [*titles, *((title.split()[1], title) for title in titles)]
    return tokenizer.encode(texts, max_tokens=24)


@pytest.fixture
def batches(rows, tokenizer, cpu):
    return MaskedTexts(
        rows,
        mask_share=0.15,
        vocabulary_size=len(tokenizer),
        batch_tokens=400,
        seed=1,
        device=cpu.device,
    )


@pytest.fixture
def network(size, tokenizer):
    torch.manual_seed(0)
    net = MaskedLanguageNetwork(size, len(tokenizer)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return net


def many_ids(vocabulary_size):
    ids = np.random.default_rng(0).integers(FIRST_WORD, vocabulary_size, (500, 42))
    ids[:, 0], ids[:, 20], ids[:, 41] = 2, 3, 3
    ids[:, 5] = 1
    return ids


def test_fifteen_in_a_hundred_words_are_asked_and_never_a_special_token():
    ids = many_ids(1_000)
    given, target = masked(
        ids, mask_share=0.15, vocabulary_size=1_000, generator=np.random.default_rng(1)
    )
    asked = target > 0
    assert (asked.sum(axis=1) == 6).all()  # .15 × 38 words = 5.7
    assert not asked[:, [0, 5, 20, 41]].any()
    assert (target[asked] == ids[asked]).all()
    assert (given[~asked] == ids[~asked]).all()
    # Every word is asked about as often as any other.
    assert asked[:, 6:20].mean() == pytest.approx(6 / 38, abs=0.01)
    assert asked[:, 21:41].mean() == pytest.approx(6 / 38, abs=0.01)


def test_of_the_asked_eighty_are_hidden_ten_replaced_and_ten_left():
    ids = many_ids(1_000)
    given, target = masked(
        ids, mask_share=0.15, vocabulary_size=1_000, generator=np.random.default_rng(1)
    )
    now, before = given[target > 0], ids[target > 0]
    assert (now == MASK).mean() == pytest.approx(0.8, abs=0.03)
    assert (now == before).mean() == pytest.approx(0.1, abs=0.02)
    other = now[(now != MASK) & (now != before)]
    assert len(other) / len(now) == pytest.approx(0.1, abs=0.02)
    assert other.min() >= FIRST_WORD
    assert len(set(other.tolist())) > 200


def test_a_short_text_is_asked_about_one_word_and_an_empty_one_about_none():
    ids = np.array([[2, 9, 3, 0], [2, 3, 0, 0], [2, 1, 3, 0]])
    _, target = masked(ids, mask_share=0.15, vocabulary_size=20, generator=np.random.default_rng(0))
    assert target.tolist() == [[0, 9, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def asked_of(batches, epoch):
    return [(batch.tokens.ids_BT.tolist(), batch.at_P.tolist()) for batch in batches.epoch(epoch)]


def test_masks_are_new_every_epoch_and_the_same_epoch_has_the_same(batches):
    assert asked_of(batches, 0) == asked_of(batches, 0)
    assert asked_of(batches, 0) != asked_of(batches, 1)


def test_every_text_is_there_once_and_almost_nothing_is_padding(batches, rows):
    seen = list(batches.epoch(0))
    assert len(seen) <= len(batches) == -(-int(rows.length_R.sum()) // 400)
    assert sum(len(batch.tokens) for batch in seen) == len(rows) == batches.text_count
    real = sum(int(batch.tokens.length_B.sum()) for batch in seen)
    assert real == rows.length_R.sum()
    assert real / sum(batch.tokens.ids_BT.numel() for batch in seen) > 0.95


def test_a_text_without_a_word_is_left_out_and_no_text_at_all_is_an_error(tokenizer, cpu):
    def of(texts):
        return MaskedTexts(
            tokenizer.encode(texts, max_tokens=24),
            mask_share=0.15,
            vocabulary_size=len(tokenizer),
            batch_tokens=400,
            seed=1,
            device=cpu.device,
        )

    assert of(["", "steel hose", "漢"]).text_count == 1
    with pytest.raises(ValueError, match="none of 1 texts"):
        of(["漢"])
    with pytest.raises(ValueError, match="none of 0 texts"):
        of([])


def test_the_loss_is_transformers_own_with_all_other_positions_ignored(network, batches):
    for batch in batches.epoch(0):
        labels = torch.where(batch.target_BT > 0, batch.target_BT, -100)
        theirs = network.body(
            input_ids=batch.tokens.ids_BT,
            attention_mask=batch.tokens.mask_BT.long(),
            token_type_ids=batch.tokens.type_BT,
            labels=labels,
        ).loss
        assert masked_loss(network, batch).item() == pytest.approx(theirs.item(), abs=1e-4)


def test_a_loss_over_padding_or_over_all_words_would_be_another(network, batches):
    batch = max(batches.epoch(0), key=lambda each: int((~each.tokens.mask_BT).sum()))
    everywhere = torch.arange(batch.target_BT.numel())
    logits = network(batch.tokens, everywhere)
    padded = torch.nn.functional.cross_entropy(logits, batch.target_BT.flatten()).item()
    words = torch.where(batch.target_BT > 0, batch.target_BT, batch.tokens.ids_BT).flatten()
    unhidden = torch.nn.functional.cross_entropy(logits, words).item()
    loss = masked_loss(network, batch).item()
    assert abs(loss - padded) > 0.05
    assert abs(loss - unhidden) > 0.05
    asked = torch.nn.functional.cross_entropy(logits[batch.at_P], batch.target_P).item()
    assert loss == pytest.approx(asked, abs=1e-5)


def test_shares_of_a_batch_add_up_to_its_loss(network, batches):
    batch = next(iter(batches.epoch(0)))
    shares = [batch.share(number, 3) for number in range(3)]
    assert sum(len(each) for each in shares) == len(batch)
    total = sum(masked_loss(network, each).item() * len(each) for each in shares)
    assert total / len(batch) == pytest.approx(masked_loss(network, batch).item(), abs=1e-5)


def test_padding_never_changes_a_guess(network, rows):
    short, longest = 0, int(rows.length_R.argmax())
    alone = rows.tokens(np.array([short]), torch.device("cpu"))
    beside = rows.tokens(np.array([short, longest]), torch.device("cpu"))
    assert beside.ids_BT.shape[1] > alone.ids_BT.shape[1]
    at = torch.arange(int(alone.length_B))
    assert torch.allclose(network(alone, at), network(beside, at), atol=1e-5)
    unmasked = Tokens(beside.ids_BT, beside.type_BT, torch.full((2,), beside.ids_BT.shape[1]))
    assert not torch.allclose(network(alone, at), network(unmasked, at), atol=1e-3)


class OneBatch:
    """The same masks again and again."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return 1

    def epoch(self, number):
        yield self.batch


def test_it_overfits_one_tiny_batch(size, tokenizer, titles, cpu):
    rows = tokenizer.encode(titles[:8], max_tokens=24)
    ids, types, lengths = rows.padded(np.arange(8))
    given, target = masked(
        ids, mask_share=0.15, vocabulary_size=len(tokenizer), generator=np.random.default_rng(0)
    )
    tokens = Tokens(*(torch.from_numpy(each) for each in (given, types, lengths)))
    batch = MaskedBatch.of(tokens, torch.from_numpy(target))
    torch.manual_seed(0)
    network = MaskedLanguageNetwork(size, len(tokenizer))
    history = fit(
        network, OneBatch(batch), masked_loss, config=replace(LOOP, epochs=80), device=cpu
    )
    assert history.train_loss[0] > 3
    assert history.train_loss[-1] < 0.05


def test_twenty_seeded_steps_end_at_the_golden_loss(size, tokenizer, titles, cpu):
    # Changes only with the vocabulary, the masks, the model, the loss, the loop or torch.
    config = PretrainingConfig(size=size, batch_tokens=70, seed=3, loop=replace(LOOP, epochs=1))
    steps = []
    _, history = pretrain(
        titles,
        tokenizer,
        config=config,
        device=cpu,
        progress=lambda *_, total, **__: steps.append(total),
    )
    assert steps[-1] == 20
    assert history.train_loss[0] == pytest.approx(GOLDEN, abs=2e-3)


GOLDEN = 3.6133


def test_pre_training_learns_what_stands_beside_what(size, tokenizer, cpu):
    # Two worlds of words: who is asked about one word knows the world by the others.
    worlds = ("steel lantern hammer ladder", "garden hose paint shelf")
    texts = [" ".join(np.roll(world.split(), turn)) for world in worlds for turn in range(4)] * 20
    config = PretrainingConfig(size=size, batch_tokens=200, loop=replace(LOOP, epochs=30))
    model, history = pretrain(texts, tokenizer, config=config, held_out=texts[:16], device=cpu)
    assert len(history.validation) == 30
    # Who knows how often words come guesses 1 of 8; who knows the world 1 of 4, or better.
    assert history.validation[0] < 1 / 8 < 0.2 < history.validation[-1]
    for world in worlds:
        rows = tokenizer.encode([world], max_tokens=24)
        tokens = rows.tokens(np.arange(1), torch.device("cpu"))
        words = set(tokens.ids_BT[0, 1:5].tolist())
        tokens.ids_BT[0, 2] = MASK
        best = model.network(tokens, torch.tensor([2])).topk(4).indices
        assert set(best[0].tolist()) == words


def test_saved_and_loaded_it_guesses_the_same(network, size, tokenizer, rows, tmp_path):
    LanguageModel(network, tokenizer, size).save(tmp_path / "bert")
    loaded = LanguageModel.load(tmp_path / "bert")
    tokens, at = rows.tokens(np.arange(4), torch.device("cpu")), torch.arange(12)
    assert torch.equal(loaded.network(tokens, at), network(tokens, at))
    assert (loaded.size, loaded.tokenizer.hash) == (size, tokenizer.hash)
    names = sorted(path.name for path in (tmp_path / "bert").rglob("*") if path.is_file())
    assert names == ["config.json", "tokenizer.json", "weights.safetensors"]


def test_another_models_folder_and_another_tokenizer_are_refused(
    network, size, tokenizer, titles, tmp_path
):
    LanguageModel(network, tokenizer, size).save(tmp_path / "bert")
    with pytest.raises(BadInputError, match="masked_language_model"):
        BertRanker.load(tmp_path / "bert")
    other = WordPieceTokenizer.train(titles, vocabulary_size=100)
    other.save(tmp_path / "bert" / "tokenizer.json")
    with pytest.raises(BadInputError, match="not the one the weights belong to"):
        LanguageModel.load(tmp_path / "bert")


def test_a_width_that_heads_do_not_divide_is_an_error(size):
    with pytest.raises(ValueError, match="no multiple of 3 heads"):
        MaskedLanguageNetwork(replace(size, heads=3), 50)


def test_lengths_of_batches_come_in_a_random_order(batches):
    longest = [batch.tokens.ids_BT.shape[1] for batch in batches.epoch(0)]
    steps = [after - before for before, after in pairwise(longest)]
    assert min(steps) < 0 < max(steps)
