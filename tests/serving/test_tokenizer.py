from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.tiny_models import BUILTIN, byte_level_tokenizer, unigram_tokenizer, word_piece_tokenizer
from zerostart.errors import InvalidArtefact, InvalidInput
from zerostart.serving.tokenizer import EncodedPair, PairTokenizer

PAIRS = [
    ("One day I will see the world.", "This example is travel."),
    ("a", "b"),
    ("  spaces\n\tand   tabs ", " leading space"),
    ("naïve Zoë 日本 🎉", "This is 日本 🎉."),
    ("Ünïcode e\u0301 \u200b zero width", "don't"),
    ("[SEP] </s> <s> [CLS]", "special [MASK] words"),
]
TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "built-in": lambda: Tokenizer.from_file(str(BUILTIN / "tokenizer.json")),
    "bert": word_piece_tokenizer,
    "roberta": byte_level_tokenizer,
    "deberta-v2": unigram_tokenizer,
}
PAD = 7


@pytest.fixture(params=list(TOKENIZERS))
def reference(request: pytest.FixtureRequest) -> Tokenizer:
    tokenizer = TOKENIZERS[request.param]()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def pair_tokenizer(reference: Tokenizer, folder: Path, max_tokens: int = 512) -> PairTokenizer:
    path = folder / "tokenizer.json"
    reference.save(str(path))
    return PairTokenizer(path, max_tokens, PAD)


@pytest.mark.parametrize("pair", PAIRS)
def test_joined_ids_are_those_of_the_tokenizer_itself(
    reference: Tokenizer, tmp_path: Path, pair: tuple[str, str]
) -> None:
    tokenizer = pair_tokenizer(reference, tmp_path)
    batch = tokenizer.batch([EncodedPair(tokenizer.premise(pair[0]), tokenizer.hypothesis(pair[1]))])
    expected = reference.encode(*pair)
    assert batch.input_ids[0].tolist() == expected.ids
    assert batch.token_type_ids[0].tolist() == expected.type_ids
    assert batch.attention_mask[0].tolist() == expected.attention_mask


def test_a_cut_premise_is_joined_as_the_tokenizer_truncates_it(reference: Tokenizer, tmp_path: Path) -> None:
    tokenizer = pair_tokenizer(reference, tmp_path, max_tokens=40)
    text, hypothesis = "the world " * 50, tokenizer.hypothesis("This example is travel.")
    premise = tokenizer.premise(text)[: tokenizer.premise_budget(hypothesis, "travel")]
    batch = tokenizer.batch([EncodedPair(premise, hypothesis)])
    reference.enable_truncation(40, strategy="only_first")
    expected = reference.encode(text, "This example is travel.")
    assert batch.input_ids[0].tolist() == expected.ids
    assert batch.token_type_ids[0].tolist() == expected.type_ids
    assert batch.input_ids.shape == (1, 40)


def test_shorter_pairs_are_padded_on_the_right(reference: Tokenizer, tmp_path: Path) -> None:
    tokenizer = pair_tokenizer(reference, tmp_path)
    short, long = (EncodedPair(tokenizer.premise(a), tokenizer.hypothesis(b)) for a, b in (PAIRS[1], PAIRS[0]))
    batch = tokenizer.batch([short, long])
    length = len(reference.encode(*PAIRS[1]).ids)
    assert batch.pairs == 2
    assert (batch.input_ids[0, length:] == PAD).all()
    assert batch.attention_mask[0].tolist() == [1] * length + [0] * (batch.input_ids.shape[1] - length)
    assert not batch.token_type_ids[0, length:].any()
    assert batch.attention_mask[1].all()
    assert {array.dtype for array in (batch.input_ids, batch.attention_mask, batch.token_type_ids)} == {np.dtype("i8")}


def test_truncation_and_padding_written_in_the_file_do_not_count(tmp_path: Path) -> None:
    reference = word_piece_tokenizer()
    reference.enable_truncation(8)
    reference.enable_padding(length=16)
    tokenizer = pair_tokenizer(reference, tmp_path)
    assert len(tokenizer.premise("the world " * 20)) >= 40
    assert len(tokenizer.premise("the")) < 16


def test_a_hypothesis_that_leaves_no_room_names_its_label(reference: Tokenizer, tmp_path: Path) -> None:
    tokenizer = pair_tokenizer(reference, tmp_path, max_tokens=16)
    hypothesis = tokenizer.hypothesis("the world of travel " * 20)
    with pytest.raises(InvalidInput) as caught:
        tokenizer.premise_budget(hypothesis, "far travel")
    for part in ("'far travel'", f"has {len(hypothesis)} tokens", "reads 16", "shorten the label"):
        assert part in caught.value.message


def test_the_longest_hypothesis_that_fits_leaves_one_token_for_the_text(reference: Tokenizer, tmp_path: Path) -> None:
    tokenizer = pair_tokenizer(reference, tmp_path, max_tokens=16)
    room = 16 - tokenizer.template.special_tokens
    assert tokenizer.premise_budget(np.ones(room - 1, dtype=np.int64), "x") == 1
    with pytest.raises(InvalidInput):
        tokenizer.premise_budget(np.ones(room, dtype=np.int64), "x")


@pytest.mark.parametrize("content", ["", "{}", "not a tokenizer"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json is not a tokenizer"):
        PairTokenizer(tmp_path / "tokenizer.json", 512, 0)
