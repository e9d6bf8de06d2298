"""How each retriever is trained: one frozen dataclass each, and the named presets."""

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from models.loop import LoopConfig


@dataclass(frozen=True)
class PopularityConfig:
    """``window_days`` before the cutoff count; ``half_life_days`` makes older ones count less."""

    window_days: int = 7
    half_life_days: float | None = None


@dataclass(frozen=True)
class PersonalConfig:
    """``popularity_share``: the most popular item's worth, in purchases on the last day."""

    popularity_share: float = 1.0
    popularity: PopularityConfig = field(default_factory=PopularityConfig)


@dataclass(frozen=True)
class AlsConfig:
    """``implicit``'s ALS. ``seen_weight``: an item in the history that was not bought.

    ``power`` > 1 lets old purchases fade faster than their weights do.
    """

    factors: int = 256
    regularization: float = 50.0
    alpha: float = 10.0
    power: float = 1.5
    iterations: int = 8
    seen_weight: float = 0.05
    threads: int = 2
    seed: int = 7


@dataclass(frozen=True)
class NeighboursConfig:
    """``shrinkage``: users who took both, at which a cosine counts half; ``neighbours`` kept."""

    neighbours: int = 200
    shrinkage: float = 10.0
    power: float = 1.0
    seen_weight: float = 0.05


@dataclass(frozen=True)
class EaseConfig:
    """``kept``: weights an item keeps; ``most_items``: beyond these it refuses (8 bytes × V²)."""

    regularization: float = 100.0
    power: float = 0.5
    seen_weight: float = 0.05
    kept: int = 300
    most_items: int = 20_000


@dataclass(frozen=True)
class CountedConfig:
    """Everything is added as it is; ``bought_power``: of what a user bought, by decayed weight."""

    popularity_share: float = 1.0
    bought_power: float = 0.5
    popularity: PopularityConfig = field(default_factory=PopularityConfig)
    ease: EaseConfig = field(
        default_factory=lambda: EaseConfig(
            regularization=1_000.0, power=1.0, seen_weight=0.0, most_items=8_000
        )
    )


@dataclass(frozen=True)
class TransitionsConfig:
    """Pairs up to ``distance`` apart count, each step ``decay`` times the one before.

    ``normalization``: the power of an item's arrivals by which it is marked down.
    ``history_length``, ``history_decay``: how many of the last interactions speak, and how loudly.
    """

    distance: int = 20
    decay: float = 0.9
    normalization: float = 0.5
    history_length: int = 50
    history_decay: float = 0.95
    kept: int = 300


@dataclass(frozen=True)
class ContentConfig:
    """Purchases count by ``weight ** power``; ``seen_weight``: a history's item not bought."""

    power: float = 0.5
    seen_weight: float = 0.05


@dataclass(frozen=True)
class GeneratedConfig:
    """What the places of new items are made in, and how long that is learned; see ``generated``."""

    als: AlsConfig = field(default_factory=AlsConfig)
    hidden: int = 256
    batch_items: int = 256
    seed: int = 7
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(epochs=60, weight_decay=0.05, final_rate_share=0.05)
    )


@dataclass(frozen=True)
class VaeConfig(GeneratedConfig):
    """``latent=0`` leaves a regression on the text."""

    latent: int = 16
    kl_weight: float = 0.5


@dataclass(frozen=True)
class GanConfig(GeneratedConfig):
    """``adversary_weight=0`` leaves a regression on the text."""

    noise: int = 16
    adversary_weight: float = 0.5


@dataclass(frozen=True)
class BayesConfig:
    """``smoothing``: pairs' worth of saying nothing; ``unseen``: purchases' worth of any item."""

    smoothing: float = 20.0
    unseen: float = 0.5
    power: float = 0.5
    seen_weight: float = 0.05
    kept: int = 500


@dataclass(frozen=True)
class FactorisationConfig:
    """``ridge``: times the number of a row's cells."""

    factors: int = 16
    ridge: float = 0.05
    iterations: int = 10
    seed: int = 7


@dataclass(frozen=True)
class SequenceConfig:
    """The transformer over item history; see ``models.retrieval.sequence``."""

    width: int = 64
    blocks: int = 1
    heads: int = 2
    dropout: float = 0.4
    negatives: int = 512
    full_softmax_items: int = 20_000
    batch_rows: int = 128
    new_weight: float = 0.5
    target_days: int = 30
    moments_per_user: int = 3
    moment_half_life_days: float = 180.0
    prior_half_lives_days: tuple[float, ...] = (3.0, 14.0)
    validation_days: int = 14
    seed: int = 7
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=8, patience=2, weight_decay=0.05, final_rate_share=0.05
        )
    )


@dataclass(frozen=True)
class NextItemConfig:
    """The transformer over item history that foretells every next item; see ``next_item``.

    ``negatives``: drawn a batch, by the power ``negative_power`` of an item's count; 0 compares
    with the whole catalog. ``batch_targets``: targets of a batch, about.
    """

    width: int = 128
    blocks: int = 1
    heads: int = 1
    dropout: float = 0.5
    history_length: int = 50
    negatives: int = 2_048
    negative_power: float = 0.0
    batch_targets: int = 1024
    seed: int = 7
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=16,
            learning_rate=3e-3,
            final_rate_share=0.02,
            patience=0,
            validate_every=4,
        )
    )


@dataclass(frozen=True)
class Gpt2Config(NextItemConfig):
    """transformers' GPT-2 over items; see ``gpt2``."""

    width: int = 64
    blocks: int = 2
    heads: int = 2


@dataclass(frozen=True)
class GruConfig(NextItemConfig):
    """``is_recurrent=False`` is its ablation: each state knows its own item alone. No heads."""

    width: int = 128
    is_recurrent: bool = True


@dataclass(frozen=True)
class ConvolutionConfig(NextItemConfig):
    """``kernel``: items a convolution looks at; 1 is its ablation. Each block doubles the reach."""

    width: int = 128
    blocks: int = 3
    kernel: int = 3


RetrieverConfig = (
    PopularityConfig
    | PersonalConfig
    | CountedConfig
    | AlsConfig
    | NeighboursConfig
    | EaseConfig
    | TransitionsConfig
    | ContentConfig
    | FactorisationConfig
    | BayesConfig
    | VaeConfig
    | GanConfig
    | SequenceConfig
    | NextItemConfig
)


def seeded(config: Any, seed: int) -> Any:
    """The same configuration with everything drawn from another seed; nothing changes without one.

    Example:
        >>> seeded(AlsConfig(), 3).seed
        3
    """
    changes: dict[str, Any] = {}
    if hasattr(config, "seed"):
        changes["seed"] = seed
    for name in ("loop", "als"):
        if hasattr(config, name):
            changes[name] = replace(getattr(config, name), seed=seed)
    return replace(config, **changes)


@dataclass(frozen=True)
class RetrievalPreset:
    """One full configuration of all retrievers."""

    popularity: PopularityConfig = field(default_factory=PopularityConfig)
    personal: PersonalConfig = field(default_factory=PersonalConfig)
    counted: CountedConfig = field(default_factory=CountedConfig)
    als: AlsConfig = field(default_factory=AlsConfig)
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    ease: EaseConfig = field(default_factory=EaseConfig)
    transitions: TransitionsConfig = field(default_factory=TransitionsConfig)
    content: ContentConfig = field(default_factory=ContentConfig)
    factorisation: FactorisationConfig = field(default_factory=FactorisationConfig)
    bayes: BayesConfig = field(default_factory=BayesConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    gan: GanConfig = field(default_factory=GanConfig)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    next_item: NextItemConfig = field(default_factory=NextItemConfig)
    gpt2: Gpt2Config = field(default_factory=Gpt2Config)
    gru: GruConfig = field(default_factory=GruConfig)
    convolution: ConvolutionConfig = field(default_factory=ConvolutionConfig)

    def of(self, name: str) -> RetrieverConfig:
        """The configuration of the retriever ``name``."""
        config: RetrieverConfig = getattr(self, name)
        return config


PRESETS: Final = MappingProxyType(
    {
        "debug": RetrievalPreset(
            als=AlsConfig(factors=16, iterations=3),
            vae=VaeConfig(als=AlsConfig(factors=16, iterations=3), hidden=32),
            gan=GanConfig(als=AlsConfig(factors=16, iterations=3), hidden=32),
            sequence=SequenceConfig(width=16, blocks=1, heads=1, loop=LoopConfig(epochs=2)),
            next_item=NextItemConfig(width=16, negatives=16, loop=LoopConfig(epochs=2)),
            gpt2=Gpt2Config(width=16, blocks=1, negatives=16, loop=LoopConfig(epochs=2)),
            gru=GruConfig(width=16, negatives=16, loop=LoopConfig(epochs=2)),
            convolution=ConvolutionConfig(
                width=16, blocks=2, negatives=16, loop=LoopConfig(epochs=2)
            ),
        ),
        "base": RetrievalPreset(),
    }
)
