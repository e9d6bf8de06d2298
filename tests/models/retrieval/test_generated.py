"""A latent that says something, two players that play, and places for items that nobody took."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from domain.errors import BadInputError
from models.histories import user_batch_at
from models.loop import LoopConfig, fit
from models.retrieval import FitContext
from models.retrieval.config import AlsConfig, GanConfig, VaeConfig
from models.retrieval.generated import (
    GanRetriever,
    ItemBatch,
    ItemGan,
    ItemVae,
    VaeRetriever,
)
from models.rows import Shuffled

ALS = AlsConfig(factors=8, regularization=1.0, iterations=4, threads=1)
LOOP = LoopConfig(epochs=150, learning_rate=5e-3, warmup_steps=5, patience=0)
CONFIGS = {
    VaeRetriever: VaeConfig(als=ALS, hidden=32, latent=4, loop=LOOP),
    GanRetriever: GanConfig(als=ALS, hidden=32, noise=4, loop=LOOP),
}


def text(planted):
    vectors = np.zeros((len(planted.catalog), 8), dtype=np.float32)
    vectors[np.arange(2, 42), np.arange(40) % 4] = 1.0
    vectors[2:, 4:] = 0.2 * np.random.default_rng(2).normal(size=(40, 4))
    return vectors


def without(planted, cold):
    names = [f"i{number:03d}" for number in cold]
    examples = planted.before(planted.cutoff)
    is_cold = np.isin(examples.column("item_id").to_numpy(zero_copy_only=False), names)
    return examples.filter(~is_cold)


@pytest.mark.parametrize("kind", CONFIGS)
def test_items_that_nobody_took_are_found_far_more_often_than_by_chance(planted, kind):
    cold = np.arange(12)
    examples = without(planted, cold)
    model = kind.fit(
        examples,
        planted.catalog,
        until=planted.cutoff,
        config=CONFIGS[kind],
        context=FitContext(text_VE=text(planted)),
    )
    users = user_batch_at(examples, planted.catalog, until=planted.cutoff)
    best = np.argsort(-model.scores(users)[:, cold + 2], axis=1)[:, :3]
    likes = np.array([int(name[1:]) % 4 for name in users.user_ids])
    assert (best % 4 == likes[:, None]).mean() > 2 * 0.25


@pytest.mark.parametrize("kind", CONFIGS)
def test_items_that_were_taken_keep_the_place_that_als_gave_them(planted, kind):
    examples = without(planted, [3])
    given = {"until": planted.cutoff, "context": FitContext(text_VE=text(planted))}
    model = kind.fit(examples, planted.catalog, config=CONFIGS[kind], **given)
    als = kind.__mro__[2].fit(examples, planted.catalog, config=ALS, **given)
    assert np.array_equal(np.delete(model.factors_VD, 5, axis=0), np.delete(als.factors_VD, 5, 0))
    assert np.abs(model.factors_VD[5]).max() > 10 * np.abs(als.factors_VD[5]).max()


@pytest.mark.parametrize("kind", CONFIGS)
def test_without_texts_it_is_refused(planted, kind):
    with pytest.raises(BadInputError, match="texts"):
        kind.fit(
            planted.before(planted.cutoff),
            planted.catalog,
            until=planted.cutoff,
            config=CONFIGS[kind],
        )


def two_places(count=400):
    """The text does not tell which of two places an item has."""
    generator = torch.Generator().manual_seed(3)
    text_NE = torch.randn(count, 3, generator=generator)
    side_N = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1.0
    place_ND = torch.stack([2 * side_N, text_NE[:, 0]], dim=1)
    return ItemBatch(text_NE, place_ND)


def test_the_latent_takes_up_what_the_text_does_not_tell():
    batch = two_places()
    errors = {}
    for latent in (0, 2):
        config = VaeConfig(latent=latent, hidden=32, kl_weight=0.2, loop=LOOP)
        torch.manual_seed(0)
        network = ItemVae(config, 3, 2)
        items = Shuffled(batch, batch_rows=100, seed=1)
        fit(network, items, lambda net, one: net.loss(one), config=config.loop)
        with torch.inference_mode():
            mean, _ = network.encoded(batch)
            made = network.decoder(torch.cat([batch.text_NE, mean], dim=1))
            errors[latent] = (made - batch.place_ND).square().mean().item()
    # Without a latent the best is the middle of the two places.
    assert errors[0] == pytest.approx(2.0, rel=0.15)
    assert errors[2] < 0.2


def test_each_player_has_the_gradient_of_its_own_loss_alone():
    torch.manual_seed(0)
    gan, batch = ItemGan(GanConfig(hidden=16), 3, 2), two_places(50)
    made = gan.made(batch.text_NE)
    telling, believed = gan.players(batch, made)
    for loss, mine, others in (
        (telling, gan.discriminator, gan.generator),
        (believed, gan.generator, gan.discriminator),
    ):
        gan.zero_grad()
        loss.backward(retain_graph=True)
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in mine.parameters())
        assert all(p.grad is None or not p.grad.any() for p in others.parameters())


def test_played_against_the_generator_makes_both_places_and_not_the_middle():
    batch = two_places()
    spread = {}
    for weight in (0.0, 20.0):
        config = GanConfig(adversary_weight=weight, hidden=64, noise=4, loop=LOOP)
        torch.manual_seed(0)
        gan = ItemGan(config, 3, 2)
        items = Shuffled(batch, batch_rows=100, seed=1)
        fit(gan, items, lambda net, one: net.loss(one), config=replace(LOOP, epochs=300))
        with torch.inference_mode():
            spread[weight] = gan.made(batch.text_NE)[:, 0].abs().mean().item()
    assert spread[0.0] < 0.5
    assert spread[20.0] > 2 * spread[0.0] + 0.3
