"""Items that nobody took yet get the vector that a VAE or a GAN makes of their text.

Both learn, from the items that were taken, which place among ALS's item factors goes with which
text, and give every other item a place from its text alone; the items that were taken keep theirs.

* *VAE*: a conditional one (Sohn et al. 2015; Kingma and Welling 2014,
  https://arxiv.org/abs/1312.6114). A latent takes up what an item's text does not tell of its
  place. A new item's latent is its prior's mean. ``latent=0`` is the ablation: a regression.
* *GAN*: two players (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661; for new items Chen et
  al. 2022, https://doi.org/10.1145/3477495.3531897). The generator makes places of texts and noise,
  the discriminator learns to tell them from real ones; beside it the generator is held to the true
  place. ``adversary_weight=0`` is the ablation. A new item's place is the mean over its draws.

What differs from the papers: the place is that of a model that solves for users at request time, so
that a new item is served the moment its text is known.
"""

# N items of a batch, V catalog, E text width, D factors, Z latent, H hidden

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from domain.errors import BadInputError
from models.artifacts import load_model, save_model
from models.catalog import FIRST_ITEM, Catalog
from models.loop import LoopConfig, fit
from models.retrieval.als import AlsRetriever
from models.retrieval.base import Embeddings, FitContext
from models.retrieval.config import AlsConfig, GanConfig, VaeConfig
from models.rows import Shuffled, TensorRows

DRAWS = 32


@dataclass(frozen=True)
class ItemBatch(TensorRows):
    """N items: their texts' vectors and their places."""

    text_NE: Tensor
    place_ND: Tensor


def _layers(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, out))


class ItemVae(nn.Module):
    """Text and place to a latent and back to the place."""

    def __init__(self, config: VaeConfig, text_width: int, factors: int) -> None:
        super().__init__()
        self.config = config
        self.encoder: nn.Module | None = None
        if config.latent:
            self.encoder = _layers(text_width + factors, config.hidden, 2 * config.latent)
        self.decoder = _layers(text_width + config.latent, config.hidden, factors)

    def loss(self, batch: ItemBatch) -> Tensor:
        """Squared error of the place, and the latent's divergence from its prior; means of items.

        The negative evidence lower bound for a place of unit variance, the divergence weighed.
        """
        mean_NZ, log_variance_NZ = self.encoded(batch)
        drawn_NZ = mean_NZ + torch.randn_like(mean_NZ) * torch.exp(0.5 * log_variance_NZ)
        made_ND = self.decoder(torch.cat([batch.text_NE, drawn_NZ], dim=1))
        error_N = (made_ND - batch.place_ND).square().sum(dim=1)
        divergence_N = kl(mean_NZ, log_variance_NZ)
        loss: Tensor = (0.5 * error_N + self.config.kl_weight * divergence_N).mean()
        return loss

    def encoded(self, batch: ItemBatch) -> tuple[Tensor, Tensor]:
        """Mean and log of the variance of each item's latent: [N, Z] each."""
        if self.encoder is None:
            nothing_NZ = batch.text_NE.new_zeros(len(batch), 0)
            return nothing_NZ, nothing_NZ
        told_NZ = self.encoder(torch.cat([batch.text_NE, batch.place_ND], dim=1))
        mean_NZ, log_variance_NZ = told_NZ.chunk(2, dim=1)
        return mean_NZ, log_variance_NZ

    def place(self, text_NE: Tensor) -> Tensor:
        """Where an item belongs by its text alone: [N, D]."""
        nothing_NZ = text_NE.new_zeros(len(text_NE), self.config.latent)
        made_ND: Tensor = self.decoder(torch.cat([text_NE, nothing_NZ], dim=1))
        return made_ND


def kl(mean_NZ: Tensor, log_variance_NZ: Tensor) -> Tensor:
    """Divergence of each row's normal from the standard one, in nats; shape [N].

    Example:
        >>> kl(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)).item()
        0.5
    """
    each_NZ = mean_NZ.square() + log_variance_NZ.exp() - 1.0 - log_variance_NZ
    return 0.5 * each_NZ.sum(dim=1)


class ItemGan(nn.Module):
    """A generator of places and the discriminator that it plays against."""

    def __init__(self, config: GanConfig, text_width: int, factors: int) -> None:
        super().__init__()
        self.config = config
        self.generator = _layers(text_width + config.noise, config.hidden, factors)
        self.discriminator = _layers(text_width + factors, config.hidden, 1)

    def made(self, text_NE: Tensor) -> Tensor:
        """A place drawn for each text: [N, D]."""
        noise_NZ = torch.randn(len(text_NE), self.config.noise, device=text_NE.device)
        made_ND: Tensor = self.generator(torch.cat([text_NE, noise_NZ], dim=1))
        return made_ND

    def loss(self, batch: ItemBatch) -> Tensor:
        """Both players' losses in one sum, each with a gradient for its own player alone."""
        made_ND = self.made(batch.text_NE)
        error = 0.5 * (made_ND - batch.place_ND).square().sum(dim=1).mean()
        telling, believed = self.players(batch, made_ND)
        total: Tensor = error + self.config.adversary_weight * (telling + believed)
        return total

    def players(self, batch: ItemBatch, made_ND: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's loss and the generator's (the one that does not saturate)."""
        real_N = self._judged(batch.text_NE, batch.place_ND)
        made_N = self._judged(batch.text_NE, made_ND.detach())
        telling = functional.softplus(-real_N).mean() + functional.softplus(made_N).mean()
        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        given = torch.cat([batch.text_NE, made_ND], dim=1)
        believed_N1 = functional_call(self.discriminator, fixed, (given,))
        return telling, functional.softplus(-believed_N1).mean()

    def _judged(self, text_NE: Tensor, place_ND: Tensor) -> Tensor:
        judged_N1: Tensor = self.discriminator(torch.cat([text_NE, place_ND], dim=1))
        return judged_N1

    def place(self, text_NE: Tensor) -> Tensor:
        """Where an item belongs by its text alone, the mean of draws: [N, D]."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            return torch.stack([self.made(text_NE) for _ in range(DRAWS)]).mean(dim=0)


class _Generated(AlsRetriever):
    """ALS whose item factors were completed."""

    name: ClassVar[str]
    config_class: ClassVar[type[VaeConfig] | type[GanConfig]]
    network_class: ClassVar[type[ItemVae] | type[ItemGan]]

    def __init__(self, factors_VD: Embeddings, generator: VaeConfig | GanConfig) -> None:
        super().__init__(factors_VD, generator.als)
        self.generator = generator

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: Any,
        context: FitContext | None = None,
    ) -> Self:
        """Fit ALS, then the network on its factors, then place the items that nobody took.

        Raises:
            BadInputError: If ``context`` has no text vectors.
        """
        if not isinstance(config, cls.config_class):
            raise TypeError(f"{cls.name} wants a {cls.config_class.__name__}, got {config!r}")
        context = context or FitContext()
        if context.text_VE is None:
            raise BadInputError(f"{cls.name} needs the vectors of the items' texts")
        learned = AlsRetriever.fit(
            examples, catalog, until=until, config=config.als, context=context
        )
        index = catalog.index_of(examples.column("item_id"))
        is_taken_V = np.bincount(index, minlength=len(catalog)) > 0
        is_taken_V[:FIRST_ITEM] = False
        factors_VD = cls._completed(
            learned.factors_VD, context.text_VE, is_taken_V, config=config, context=context
        )
        return cls(factors_VD, config)

    @classmethod
    def _completed(
        cls,
        factors_VD: Embeddings,
        text_VE: Embeddings,
        is_taken_V: npt.NDArray[np.bool_],
        *,
        config: Any,
        context: FitContext,
    ) -> Embeddings:
        """The same factors, with those of the items that were not taken made from their texts."""
        scale = float(factors_VD[is_taken_V].std())
        torch.manual_seed(config.seed)
        network = cls.network_class(config, text_VE.shape[1], factors_VD.shape[1])
        everything = ItemBatch(
            torch.from_numpy(text_VE[is_taken_V]), torch.from_numpy(factors_VD[is_taken_V] / scale)
        )
        fit(
            network,
            Shuffled(everything, batch_rows=config.batch_items, seed=config.seed),
            lambda module, batch: module.loss(batch),  # type: ignore[operator]
            config=config.loop,
            progress=context.progress,
            stage=cls.name,
        )
        is_new_V = ~is_taken_V & (np.linalg.norm(text_VE, axis=1) > 0)
        with torch.inference_mode():
            placed_ND = network.cpu().place(torch.from_numpy(text_VE[is_new_V]))
        made_VD = factors_VD.copy()
        made_VD[is_new_V] = placed_ND.numpy() * scale
        return made_VD

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        content = asdict(self.generator)
        save_model(folder, model=self.name, config=content, tensors={"factors_VD": self.factors_VD})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        content = dict(artifact.config)
        als = AlsConfig(**content.pop("als"))  # type: ignore[arg-type]
        loop = LoopConfig(**content.pop("loop"))  # type: ignore[arg-type]
        config = cls.config_class(**content, als=als, loop=loop)  # type: ignore[arg-type]
        return cls(artifact.tensors["factors_VD"].astype(np.float32), config)


class VaeRetriever(_Generated):
    """ALS, with a VAE's places for new items."""

    name: ClassVar[str] = "vae"
    config_class = VaeConfig
    network_class = ItemVae


class GanRetriever(_Generated):
    """ALS, with a GAN's places for new items."""

    name: ClassVar[str] = "gan"
    config_class = GanConfig
    network_class = ItemGan
