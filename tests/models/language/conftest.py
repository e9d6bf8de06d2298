"""Small texts with a plain meaning, and a BERT that is trained in a second."""

import random

import pytest
import torch

from models.device import Device
from models.language.config import BertSize
from models.language.judged import JudgedList
from models.language.tokenizer import WordPieceTokenizer

THINGS = ("lantern", "bracket", "faucet", "paint", "shelf", "hammer", "ladder", "hose")
KINDS = ("steel", "brass", "white", "garden", "small", "outdoor")


@pytest.fixture(scope="session")
def cpu() -> Device:
    return Device(torch.device("cpu"), False, "")


@pytest.fixture(scope="session")
def titles() -> list[str]:
    """Two hundred titles: a kind and a thing always go together with a size."""
    generator = random.Random(5)
    return [
        f"{generator.choice(KINDS)} {generator.choice(THINGS)} {generator.randint(1, 9)} in."
        for _ in range(200)
    ]


@pytest.fixture(scope="session")
def tokenizer(titles) -> WordPieceTokenizer:
    return WordPieceTokenizer.train(titles, vocabulary_size=160)


@pytest.fixture(scope="session")
def size() -> BertSize:
    return BertSize(width=32, layers=2, heads=2, feed_forward=64, max_tokens=24, dropout=0.0)


@pytest.fixture(scope="session")
def lists() -> list[JudgedList]:
    """Sixty queries of six items: steel is what everybody wants, brass will do."""
    generator = random.Random(6)
    labels = {"steel": 3.0, "brass": 1.0}
    made = []
    for number in range(60):
        thing = generator.choice(THINGS)
        kinds = generator.sample(KINDS, k=6)
        texts = tuple(f"{kind} {thing} {generator.randint(1, 9)} in." for kind in kinds)
        made.append(
            JudgedList(f"{thing} {number}", texts, tuple(labels.get(kind, 0.0) for kind in kinds))
        )
    return made
