"""transformers' BERT in our measures, always told which tokens are real and whose text they are."""

# B rows, T tokens, D width, V vocabulary

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from torch import Tensor, nn

from domain.errors import BadInputError
from domain.files import replacing_folder
from models.artifacts import load_model, save_model
from models.language.config import BertSize
from models.language.tokenizer import PAD, WordPieceTokenizer
from models.language.tokens import Tokens
from models.weights import arrays_of, put_arrays

if TYPE_CHECKING:
    from transformers import BertConfig

TOKENIZER_NAME: Final = "tokenizer.json"
NETWORK_NAME: Final = "network"

N = TypeVar("N", bound=nn.Module)


def bert_config(size: BertSize, vocabulary_size: int) -> "BertConfig":
    """What transformers must know to make a network of this size, with weights of its own.

    Raises:
        ValueError: If the width is no multiple of the heads.
    """
    from transformers import BertConfig

    if size.width % size.heads:
        raise ValueError(f"width {size.width} is no multiple of {size.heads} heads")
    return BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.feed_forward,
        max_position_embeddings=size.max_tokens,
        hidden_dropout_prob=size.dropout,
        attention_probs_dropout_prob=size.dropout,
        type_vocab_size=2,
        pad_token_id=PAD,
    )


def states(bert: nn.Module, tokens: Tokens) -> Tensor:
    """The last states of a ``BertModel``: [B, T, D]; those of padding mean nothing."""
    states_BTD: Tensor = bert(
        input_ids=tokens.ids_BT,
        attention_mask=tokens.mask_BT.long(),
        token_type_ids=tokens.type_BT,
    ).last_hidden_state
    return states_BTD


def save_network(
    folder: Path, network: nn.Module, tokenizer: WordPieceTokenizer, *, model: str, size: BertSize
) -> None:
    """Write a folder of the network (safetensors, JSON) and its tokenizer (JSON), atomically.

    Raises:
        ValueError: If a weight is not finite.
    """
    config: Mapping[str, object] = {**asdict(size), "tokenizer": tokenizer.hash}
    with replacing_folder(folder) as aside:
        save_model(aside / NETWORK_NAME, model=model, config=config, tensors=arrays_of(network))
        tokenizer.save(aside / TOKENIZER_NAME)


def load_network(
    folder: Path, network: Callable[[BertSize, int], N], *, model: str
) -> tuple[N, WordPieceTokenizer, BertSize]:
    """Read what ``save_network`` wrote: the network in eval mode, its tokenizer, its size.

    Raises:
        BadInputError: If the folder holds something else, or another tokenizer's network.
    """
    artifact = load_model(folder / NETWORK_NAME, model=model)
    tokenizer = WordPieceTokenizer.load(folder / TOKENIZER_NAME)
    config = dict(artifact.config)
    if config.pop("tokenizer") != tokenizer.hash:
        raise BadInputError(f"{folder}: {TOKENIZER_NAME} is not the one the weights belong to")
    size = BertSize(**config)  # type: ignore[arg-type]
    loaded = network(size, len(tokenizer))
    put_arrays(loaded, artifact.tensors)
    return loaded.eval(), tokenizer, size
