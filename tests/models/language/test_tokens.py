import numpy as np
import torch

from models.language.tokens import Tokens


def test_rows_are_padded_to_the_longest_and_the_mask_says_where(tokenizer):
    rows = tokenizer.encode(["hose", ("hose", "steel hose"), ""], max_tokens=24)
    ids_BT, type_BT, length_B = rows.padded(np.array([1, 2]))
    assert ids_BT.shape == type_BT.shape == (2, 6)
    assert length_B.tolist() == [6, 2]
    assert ids_BT[1, 2:].tolist() == type_BT[1, 2:].tolist() == [0, 0, 0, 0]
    tokens = rows.tokens(np.array([2, 0]), torch.device("cpu"))
    assert tokens.mask_BT.tolist() == [[True, True, False], [True, True, True]]


def test_parts_of_like_length_are_all_rows_once_with_little_padding():
    length = torch.tensor([3, 9, 2, 8, 3])
    ids = torch.arange(5)[:, None].expand(5, 9)
    parts = list(Tokens(ids, torch.zeros_like(ids), length).by_length(2))
    assert sorted(torch.cat([rows for rows, _ in parts]).tolist()) == [0, 1, 2, 3, 4]
    assert [part.ids_BT.shape for _, part in parts] == [(3, 3), (2, 9)]
    assert all(part.ids_BT[:, 0].tolist() == rows.tolist() for rows, part in parts)
    assert len(list(Tokens(ids[:1], ids[:1], length[:1]).by_length(4))) == 1
