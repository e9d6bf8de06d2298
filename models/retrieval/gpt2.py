"""GPT-2 that recommends: transformers' own network, whose tokens are items.

Source: Radford et al. 2019; transformers' ``GPT2Model``. What differs from a language model: the
vocabulary is the catalog, so a history is a text of items and the next token is a recommendation;
what it writes is always an item, and one that its reader has not had (``written``). Asked for
words, as recommenders built on language models often are, it answers with tokens that are no item,
and the likeliest continuation of a history repeats it. It is trained as ``next_item`` is.
"""

# B users, T history length, D width, V catalog

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.batch import UserBatch
from models.catalog import FIRST_ITEM
from models.quiet import quiet_torchao
from models.retrieval.config import Gpt2Config, NextItemConfig
from models.retrieval.next_item import HistoryNetwork, NextItemRetriever, known_items

Ints = npt.NDArray[np.int64]


class Gpt2Network(HistoryNetwork):
    """Item embeddings in and out, GPT-2 between them."""

    def __init__(
        self, config: NextItemConfig, catalog_size: int, text_VE: Tensor | None = None
    ) -> None:
        quiet_torchao()
        from transformers import GPT2Config, GPT2Model

        super().__init__(config, catalog_size, text_VE)
        self.body = GPT2Model(
            GPT2Config(
                vocab_size=1,  # Its own token embedding is not used.
                n_positions=config.history_length,
                n_embd=config.width,
                n_layer=config.blocks,
                n_head=config.heads,
                resid_pdrop=config.dropout,
                embd_pdrop=config.dropout,
                attn_pdrop=config.dropout,
                use_cache=False,
                bos_token_id=None,  # Texts begin and end here without words for it.
                eos_token_id=None,
            )
        )
        self.body.wte.requires_grad_(False)

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        """The state after each item: [B, T, D]; see ``HistoryNetwork``."""
        states_BTD: Tensor = self.body(inputs_embeds=tokens_BTD).last_hidden_state
        return states_BTD


class Gpt2Retriever(NextItemRetriever):
    """The trained network. Who has no known item in the history gets no opinion."""

    name: ClassVar[str] = "gpt2"
    config_class: ClassVar[type[NextItemConfig]] = Gpt2Config
    network_class: ClassVar[type[HistoryNetwork]] = Gpt2Network

    def written(self, batch: UserBatch, *, count: int) -> Ints:
        """The likeliest continuation of each history, item by item: item_index [B, count].

        Args:
            batch: Users with at least one known item each.
            count: Items to write; no more than there are left to any user.

        Raises:
            ValueError: If a user has no history to continue, or too few items are left.
        """
        history_BT = known_items(batch.history_BT)
        if not (history_BT > 0).any(axis=1).all():
            raise ValueError("a user without a history has nothing to continue")
        had_BV = (batch.bought_BV.toarray() > 0) | (batch.seen_BV(1.0).toarray() > 0)
        had_BV[:, :FIRST_ITEM] = True
        if count > (~had_BV).sum(axis=1).min():
            raise ValueError(f"there are not {count} items that each user has not had")
        length = self.network.config.history_length
        with torch.inference_mode():
            items_VD = self.network.items()
            for _ in range(count):
                given = torch.from_numpy(history_BT[:, -length:])
                logits_BV = (self.network.last_states(given, items_VD) @ items_VD.T).numpy()
                next_B = np.where(had_BV, -np.inf, logits_BV).argmax(axis=1)
                had_BV[np.arange(len(next_B)), next_B] = True
                history_BT = np.concatenate([history_BT, next_B[:, None]], axis=1)
        return history_BT[:, -count:]
