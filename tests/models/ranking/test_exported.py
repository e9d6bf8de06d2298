import numpy as np
import pytest
import torch

from models.ranking.config import TransformerConfig
from models.ranking.exported import exported
from models.ranking.transformer import CandidateTransformer


@pytest.mark.parametrize(("width", "heads", "blocks"), [(16, 2, 1), (8, 1, 0)])
def test_the_exported_program_gives_the_eager_scores(lists, text_VE, width, heads, blocks):
    torch.manual_seed(3)
    config = TransformerConfig(width=width, heads=heads, blocks=blocks)
    eager = CandidateTransformer(config, torch.from_numpy(text_VE), 4).eval()
    # Scores are differences: make them large enough that 1e-4 says something.
    with torch.no_grad():
        eager.out.weight *= 20
    given = [
        torch.from_numpy(lists.history_LT),
        torch.from_numpy(lists.item_index_LC),
        torch.from_numpy(np.ascontiguousarray(lists.features_LCF[..., :4])),
    ]
    with torch.inference_mode():
        wanted = eager(*given)
    assert wanted.std() > 0.5
    program = exported(eager).module()
    with torch.inference_mode():
        torch.testing.assert_close(program(*given), wanted, rtol=0, atol=1e-4)
        one = program(given[0][5:6], given[1][5:6, :1], given[2][5:6, :1])
    torch.testing.assert_close(one, wanted[5:6, :1], rtol=0, atol=1e-4)
