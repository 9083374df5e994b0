"""Tokenizers in older forms become tokenizer.json, with the same ids."""

# ruff: noqa: RUF001 - odd characters are what is tested

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer

from tests.models.conftest import edit_config
from tests.tiny_models import SENTENCES, byte_level_tokenizer, word_piece_tokenizer
from zerostart.errors import InvalidArtefact, MissingExtra
from zerostart.models.source_folder import open_source_folder
from zerostart.models.tokenizer_file import write_tokenizer

ODD_TEXTS = (
    *SENTENCES,
    "Zoë's naïve café, déjà vu",
    "cafe\u0301 combining",
    "two  spaces,   three",
    "  spaces at both ends  ",
    "line\nbreak\tand tab",
    "İstanbul'da ığüşöç ve IĞÜŞÖÇ",
    "Καλημέρα κόσμε, ΆΣ ς",
    "🎉 party 👩‍👩‍👧 family 🏳️‍🌈",
    "full-width ＡＢＣ１２３ and ligature ﬁ",
    "日本語のテキスト",
    "non\u00a0breaking, zero\u200bwidth",
    "½ ² ™ … “quotes” – dash",
    "x" * 300,
)


def train(folder: Path, name: str, special: dict[str, Any]) -> SentencePieceProcessor:
    """A tiny SentencePiece model in `folder`, and the processor that is the reference."""
    (folder / "corpus.txt").write_text("\n".join([*ODD_TEXTS[:-1]] * 4), "utf-8")
    SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"),
        model_prefix=str(folder / "trained"),
        vocab_size=220,
        hard_vocab_limit=False,
        character_coverage=0.98,
        minloglevel=2,
        **special,
    )
    (folder / "trained.model").rename(folder / name)
    return SentencePieceProcessor(model_file=str(folder / name))


def converted(source: Path, folder: Path) -> Tokenizer:
    folder.mkdir()
    write_tokenizer(open_source_folder(source), folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


DEBERTA = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3} | {
    "pad_piece": "[PAD]",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
    "unk_piece": "[UNK]",
}


@pytest.fixture
def old(source: Path) -> Path:
    """A source without tokenizer.json."""
    (source / "tokenizer.json").unlink()
    return source


def test_a_tokenizer_json_is_taken_as_it_is(source: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    assert write_tokenizer(open_source_folder(source), tmp_path / "made") == (source / "tokenizer.json",)
    assert (tmp_path / "made" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_a_sentence_piece_model_of_deberta_gives_the_same_ids(old: Path, tmp_path: Path) -> None:
    reference = train(old, "spm.model", DEBERTA)
    edit_config(old, model_type="deberta-v2")
    mask = reference.get_piece_size()
    (old / "added_tokens.json").write_text(json.dumps({"[MASK]": mask}))
    made = converted(old, tmp_path / "made")
    for text in ODD_TEXTS:
        assert made.encode(text, add_special_tokens=False).ids == reference.encode(text), text
    pair = made.encode("One day", "It rains")
    first, second = reference.encode("One day"), reference.encode("It rains")
    assert pair.ids == [1, *first, 2, *second, 2]
    assert pair.type_ids == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert made.encode("[MASK]", add_special_tokens=False).ids == [mask]


def test_a_sentence_piece_model_of_xlm_roberta_gives_the_same_ids_one_further(old: Path, tmp_path: Path) -> None:
    reference = train(old, "sentencepiece.bpe.model", {"unk_id": 0, "bos_id": 1, "eos_id": 2})
    edit_config(old, model_type="xlm-roberta", pad_token_id=1)
    made = converted(old, tmp_path / "made")
    for text in ODD_TEXTS:
        expected = [3 if each == 0 else each + 1 for each in reference.encode(text)]
        assert made.encode(text, add_special_tokens=False).ids == expected, text
    first, second = ([each + 1 for each in reference.encode(text)] for text in ("One day", "It rains"))
    assert made.encode("One day", "It rains").ids == [0, *first, 2, 2, *second, 2]


def test_a_word_piece_vocabulary_gives_the_same_ids(old: Path, tmp_path: Path) -> None:
    reference = word_piece_tokenizer()
    by_id = sorted(reference.get_vocab().items(), key=lambda item: item[1])
    (old / "vocab.txt").write_text("\n".join(piece for piece, _ in by_id) + "\n")
    (old / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    made = converted(old, tmp_path / "made")
    for text in ODD_TEXTS:
        assert made.encode(text, text[:10]).ids == reference.encode(text, text[:10]).ids, text
        assert made.encode(text, text[:10]).type_ids == reference.encode(text, text[:10]).type_ids, text


def test_a_vocabulary_in_another_place_is_not_read(old: Path, tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "day"]
    (old / "vocab.txt").write_text("\n".join(pieces))
    (tmp_path / "secret.txt").write_text("\n".join([*pieces, "secret"]))
    elsewhere = {"vocab_file": str(tmp_path / "secret.txt"), "tokenizer_class": "BertTokenizer"}
    (old / "tokenizer_config.json").write_text(json.dumps(elsewhere))
    assert "secret" not in converted(old, tmp_path / "made").get_vocab()


def test_byte_pairs_give_the_same_ids(old: Path, tmp_path: Path) -> None:
    reference = byte_level_tokenizer()
    reference.model.save(str(old))
    (old / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    edit_config(old, model_type="roberta", pad_token_id=1)
    made = converted(old, tmp_path / "made")
    for text in ODD_TEXTS:
        assert made.encode(text, text[:10]).ids == reference.encode(text, text[:10]).ids, text


def test_a_folder_without_any_vocabulary_is_refused(old: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json is missing, and so is a vocabulary"):
        converted(old, tmp_path / "made")


def test_byte_pairs_without_merges_are_no_vocabulary(old: Path, tmp_path: Path) -> None:
    (old / "vocab.json").write_text("{}")
    with pytest.raises(InvalidArtefact, match="is missing, and so is a vocabulary"):
        converted(old, tmp_path / "made")


def test_a_sentence_piece_model_that_is_none_is_refused(old: Path, tmp_path: Path) -> None:
    (old / "spm.model").write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidArtefact, match=r"spm\.model is not a SentencePiece model"):
        converted(old, tmp_path / "made")


def test_a_tokenizer_of_absurd_size_is_refused_unread(source: Path, tmp_path: Path) -> None:
    with (source / "tokenizer.json").open("r+b") as file:
        file.truncate(201 * 2**20)
    with pytest.raises(InvalidArtefact, match="210,763,776 bytes"):
        converted(source, tmp_path / "made")


def test_a_tokenizer_that_cannot_be_read_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "tokenizer.json").write_text('{"model": {"type": "Odd"}}')
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json is not a tokenizer that can be read"):
        converted(source, tmp_path / "made")


def test_without_transformers_the_extra_is_named(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(old, "spm.model", DEBERTA)
    for name in ("transformers", "transformers.convert_slow_tokenizer"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"of spm\.model needs transformers: run pip install 'zerostart\[convert\]'"):
        converted(old, tmp_path / "made")
