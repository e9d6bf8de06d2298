"""Words and pieces of words, learned from the shop's own texts.

Source: BERT's WordPiece (Devlin et al. 2019, https://arxiv.org/abs/1810.04805), by the tokenizers
library. What differs: the vocabulary is the shop's own; texts are composed (NFC) and lower-cased,
and accents stay; a special token that somebody types is plain text; the same texts give the same
vocabulary.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from domain.errors import BadInputError
from domain.files import replacing_file
from models.language.tokens import TokenRows

PAD: Final = 0
UNKNOWN: Final = 1
BEGIN: Final = 2
END: Final = 3
MASK: Final = 4
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FIRST_WORD: Final = len(SPECIAL)
"""Ids from here on are words and pieces; a mask may hide them and nothing else."""
MIN_TOKENS: Final = 8

Text = str | tuple[str, str]
"""A text alone, or a query and the text of an item."""


class WordPieceTokenizer:
    """Text → ids: ``[CLS] text [SEP]`` or ``[CLS] query [SEP] item [SEP]``."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take one that ``train`` or ``load`` made."""
        self._tokenizer = tokenizer
        # The library does not keep this switch in its file.
        self._tokenizer.encode_special_tokens = True

    @classmethod
    def train(
        cls, texts: Iterable[str], *, vocabulary_size: int, min_count: int = 2
    ) -> "WordPieceTokenizer":
        """Learn a vocabulary; the same texts give the same one, in any order.

        Args:
            texts: Training texts only: a vocabulary is learned, too.
            vocabulary_size: At most; special tokens and single characters included.
            min_count: Pieces seen more rarely are not put together.

        Raises:
            ValueError: If no text has a word, or the characters alone do not fit.
        """
        counted = [_NORMALIZER.normalize_str(text) for text in texts]
        characters = sorted(set("".join(counted)) - set(" "))
        # The library numbers characters in the order of a hash map and breaks ties by number: told
        # all of them, it learns the same in every process.
        given = [*SPECIAL, *characters, *(f"##{character}" for character in characters)]
        if not characters or len(given) > vocabulary_size:
            raise ValueError(
                f"a vocabulary of {vocabulary_size} does not hold the {len(characters)} characters "
                f"of {len(counted)} texts: expected one character at least and {len(given)} places"
            )
        learned = _assembled({token: number for number, token in enumerate(SPECIAL)})
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary_size,
            min_frequency=min_count,
            special_tokens=given,
            show_progress=False,
        )
        learned.train_from_iterator(sorted(counted), trainer)
        # Built anew from the vocabulary: the characters were special tokens to the trainer only.
        return cls(_assembled(learned.get_vocab()))

    @classmethod
    def load(cls, path: Path) -> "WordPieceTokenizer":
        """Read what ``save`` wrote.

        Raises:
            BadInputError: If it is no tokenizer, or one with other special tokens.
        """
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # The library raises nothing narrower.
            raise BadInputError(f"{path} is no tokenizer: {error}") from error
        found = tuple(tokenizer.id_to_token(number) for number in range(FIRST_WORD))
        if found != SPECIAL:
            raise BadInputError(f"{path} begins with the tokens {found}, expected {SPECIAL}")
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        with replacing_file(path) as aside:
            aside.write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """The whole definition: vocabulary, normalization, template."""
        return self._tokenizer.to_str(pretty=True) + "\n"

    @property
    def hash(self) -> str:
        """sha256 (hex) of the definition: weights belong to one vocabulary."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def __len__(self) -> int:
        """How many ids there are: V."""
        return self._tokenizer.get_vocab_size()

    def normalized(self, text: str) -> str:
        r"""What is read of a text: composed, lower case, without control characters.

        Example:
            >>> WordPieceTokenizer.train(["a"], vocabulary_size=9).normalized("Cafe\u0301 A")
            'café a'
        """
        return str(_NORMALIZER.normalize_str(text))

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text, without special tokens."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def encode(self, texts: Sequence[Text], *, max_tokens: int) -> TokenRows:
        """Each text's ids with its special tokens; of a pair the longer text is cut first.

        Raises:
            ValueError: If ``max_tokens`` is below 8.
        """
        if max_tokens < MIN_TOKENS:
            raise ValueError(f"max_tokens must be at least {MIN_TOKENS}, got {max_tokens}")
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        try:
            return TokenRows.of(self._tokenizer.encode_batch_fast(list(texts)))
        finally:
            self._tokenizer.no_truncation()


_NORMALIZER: Final = normalizers.Sequence(
    [
        normalizers.NFC(),
        normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True
        ),
    ]
)


def _assembled(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        (SPECIAL[END], END), (SPECIAL[BEGIN], BEGIN)
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
