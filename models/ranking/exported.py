"""The ranking transformer as a ``torch.export`` program: one graph, free of this code.

It is made in memory, where it is asked for, and never written: ``torch.export.save`` keeps weights
as raw bytes, but example inputs and constants as pickles, and ``torch.export.load`` reads them with
``pickle`` ("never load data from an untrusted source"). What is released stays safetensors; the
program is made from it, in seconds.
"""

# B lists, C candidates, T history, I item features

import torch
from torch.export import Dim, ExportedProgram

from domain.schemas import HISTORY_LENGTH
from models.ranking.transformer import CandidateTransformer


def exported(transformer: CandidateTransformer) -> ExportedProgram:
    """Export for any number of lists and candidates and histories of ``HISTORY_LENGTH``.

    The program's ``module()`` takes what ``CandidateTransformer.forward`` takes, index arrays as
    int32, and gives its scores up to rounding. The transformer is folded first: how many distinct
    items a request has is no shape that a graph could know.
    """
    lists, candidates = Dim("lists", max=1024), Dim("candidates", max=65_536)
    given = (
        torch.zeros((2, HISTORY_LENGTH), dtype=torch.int32),
        torch.zeros((2, 3), dtype=torch.int32),
        torch.zeros((2, 3, transformer.item_feature_count)),
    )
    shapes = ({0: lists}, {0: lists, 1: candidates}, {0: lists, 1: candidates})
    return torch.export.export(transformer.folded(), given, dynamic_shapes=shapes)
