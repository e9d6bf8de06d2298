"""How large a BERT is, and how it is pre-trained and fine-tuned."""

from dataclasses import dataclass, field

from models.loop_config import LoopConfig


@dataclass(frozen=True)
class BertSize:
    """The network's measures; BERT's proportions (Devlin et al. 2019), a hundredth of its weights.

    ``max_tokens``: T at most, special tokens included; longer pairs lose the ends of the longer
    text first.
    """

    width: int = 128
    layers: int = 2
    heads: int = 4
    feed_forward: int = 512
    max_tokens: int = 48
    dropout: float = 0.1


@dataclass(frozen=True)
class PretrainingConfig:
    """Masked language model. ``batch_tokens``: real tokens of a batch, about."""

    size: BertSize = BertSize()
    mask_share: float = 0.15
    batch_tokens: int = 2_048
    seed: int = 7
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=3,
            learning_rate=1e-3,
            weight_decay=0.01,
            warmup_steps=200,
            final_rate_share=0.05,
            patience=0,
        )
    )


@dataclass(frozen=True)
class RankerConfig:
    """Cross-encoder over the items of a query. ``batch_lists``: queries of a batch."""

    size: BertSize = BertSize()
    batch_lists: int = 8
    seed: int = 7
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=3,
            learning_rate=5e-4,
            weight_decay=0.01,
            warmup_steps=100,
            final_rate_share=0.05,
            patience=0,
        )
    )
