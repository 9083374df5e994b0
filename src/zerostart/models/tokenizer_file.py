"""`tokenizer.json`: the source folder's own, or made of its vocabulary in an older form."""

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zerostart.errors import InvalidArtefact, MissingExtra
from zerostart.models.artefact import TOKENIZER
from zerostart.models.source_folder import (
    CONFIG,
    MAX_TOKENIZER_BYTES,
    TOKENIZER_CONFIG,
    SourceFolder,
    read_json_object,
    refuse_larger,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SENTENCE_PIECE = ("spm.model", "sentencepiece.bpe.model", "spiece.model")
_WORD_PIECE = ("vocab.txt",)
_BYTE_PAIRS = ("vocab.json", "merges.txt")
_ADDED = "added_tokens.json"


@dataclass(frozen=True)
class _SlowTokenizer:
    """What transformers' converters of SentencePiece ask of the tokenizer that they convert."""

    vocab_file: str
    do_lower_case: bool
    split_by_punct: bool
    keep_accents: bool
    ids: dict[str, int] = field(default_factory=dict)

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of a special token."""
        return self.ids[token]


def write_tokenizer(source: SourceFolder, folder: Path) -> tuple[Path, ...]:
    """Write `tokenizer.json` into `folder`; returns the files that it was made of.

    Raises InvalidArtefact if there is nothing to make it of, MissingExtra without transformers where it has to be made.
    """
    if own := source.file(TOKENIZER):
        refuse_larger(own, MAX_TOKENIZER_BYTES)
        _refuse_unreadable(own)
        shutil.copyfile(own, folder / TOKENIZER)
        return (own,)
    for names in (_SENTENCE_PIECE, _WORD_PIECE, _BYTE_PAIRS):
        found = [path for name in names if (path := source.file(name))]
        if not found or (names is _BYTE_PAIRS and len(found) < 2):
            continue
        for each in found:
            refuse_larger(each, MAX_TOKENIZER_BYTES)
        try:
            if names is _SENTENCE_PIECE:
                made = _from_sentence_piece(source, found[0])
            else:
                made = _from_vocabulary(source, found)
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"{source.path} has no {TOKENIZER}, and making it of {found[0].name} needs transformers: "
                "run pip install 'zerostart[convert]'."
            ) from error
        made.save(str(folder / TOKENIZER))
        return (*found, *filter(None, [source.file(_ADDED)]))
    raise InvalidArtefact(
        f"{source.path / TOKENIZER} is missing, and so is a vocabulary to make it of ({', '.join(_SENTENCE_PIECE)}, "
        "vocab.txt, or vocab.json with merges.txt). Fetch the folder again."
    )


def _refuse_unreadable(path: Path) -> None:
    from tokenizers import Tokenizer

    try:
        Tokenizer.from_file(str(path))
    except Exception as error:
        raise InvalidArtefact(f"{path} is not a tokenizer that can be read: {str(error)[:200]}.") from error


def _from_sentence_piece(source: SourceFolder, vocabulary: Path) -> "Tokenizer":
    """By transformers' converter, which keeps the model's own normalisation; its tokenizer classes drop that."""
    from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS

    name = {"deberta-v2": "DebertaV2", "camembert": "Camembert", "albert": "Albert"}.get(
        source.model_type, "XLMRoberta"
    )
    settings = source.tokenizer_config
    slow = _SlowTokenizer(
        str(vocabulary),
        do_lower_case=bool(settings.get("do_lower_case", name == "Albert")),
        split_by_punct=bool(settings.get("split_by_punct", False)),
        keep_accents=bool(settings.get("keep_accents", False)),
    )
    try:
        converter = SLOW_TO_FAST_CONVERTERS[f"{name}Tokenizer"](slow)
        slow.ids.update({piece: i for i, (piece, _) in enumerate(converter.vocab(converter.proto))})
        made: Tokenizer = converter.converted()
    except Exception as error:
        raise InvalidArtefact(f"{vocabulary} is not a SentencePiece model that can be read: {error!r}.") from error
    _add_tokens(source, made)
    return made


def _add_tokens(source: SourceFolder, tokenizer: "Tokenizer") -> None:
    """The tokens that the model knows beside its vocabulary, such as DeBERTa's [MASK]."""
    from tokenizers import AddedToken

    path = source.file(_ADDED)
    added = read_json_object(path) if path else {}
    for token in sorted(added, key=lambda token: int(added[token])):
        if tokenizer.token_to_id(token) is None and added[token] == tokenizer.get_vocab_size():
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])


def _from_vocabulary(source: SourceFolder, vocabulary: list[Path]) -> "Tokenizer":
    """By transformers' tokenizer of the architecture, from a copy that names no files in other places."""
    import transformers

    settings = {key: value for key, value in source.tokenizer_config.items() if not key.endswith("_file")}
    with tempfile.TemporaryDirectory() as copy:
        for path in (*vocabulary, source.path / CONFIG, *filter(None, [source.file(_ADDED)])):
            shutil.copyfile(path, Path(copy) / path.name)
        (Path(copy) / TOKENIZER_CONFIG).write_text(json.dumps(settings), "utf-8")
        try:
            loaded = transformers.AutoTokenizer.from_pretrained(copy, local_files_only=True, trust_remote_code=False)
            made: Tokenizer = loaded.backend_tokenizer
        except Exception as error:
            raise InvalidArtefact(f"The vocabulary in {source.path} cannot be read: {str(error)[:300]}") from error
    made.no_padding()
    made.no_truncation()
    return made
