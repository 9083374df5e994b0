"""The recipe: what it trains on, that it can be stopped, and that batches are what the model is taught by."""

import json
import random
from pathlib import Path

import pytest
import torch
from training.corpus import NOT_ENTAILMENT, Pair, labelled_set
from training.loop import Schedule, train
from training.nli import InFourBits, NLIBatch, _batches, pair_loss
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import BUILTIN
from training import loop, wordnet
from zerostart.models.rounding import INT4, rounded


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    lines = [
        "  1 This software and database is being provided to you, the LICENSEE",
        "00000001 03 n 01 entity 0 000 | that which is perceived  ",
        "00000002 17 n 02 river 0 stream 0 001 @ 00000001 n 0000 | a large natural stream of water  ",
        "00000003 18 n 01 poet 0 001 @ 00000001 n 0000 | a writer of poems  ",
    ]
    for number in range(8):
        lines.append(
            f'0000001{number} 17 n 01 River_{number} 0 001 @i 00000002 n 0000 | it flows north; "a long one"  '
        )
        lines.append(f"0000002{number} 18 n 02 clemens 0 Poet_{number} 0 001 @i 00000003 n 0000 | he wrote odes  ")
    (tmp_path / "data.noun").write_text("\n".join(lines) + "\n", "ascii")
    return tmp_path


def test_a_definition_has_the_kinds_of_things_that_it_defines(dictionary: Path) -> None:
    found = {each.name: each for each in wordnet.definitions(dictionary)}
    assert found["River 3"].kinds == ("river", "entity")
    assert found["River 3"].meaning == "it flows north"
    assert found["Poet 3"].kinds == ("poet", "entity")
    assert "entity" not in found


def test_wrong_kinds_of_a_definition_are_none_of_its_own(dictionary: Path) -> None:
    found = wordnet.definitions(dictionary)
    pairs = wordnet.definition_pairs(found, random.Random(1), count=10, wrong=3, first=7)
    assert {pair.group for pair in pairs} == set(range(7, 17))
    for pair in pairs:
        wrong = pair.label == NOT_ENTAILMENT
        own = "river" if "flows" in pair.premise else "poet"
        assert not (wrong and own in pair.hypothesis)


def test_a_folder_without_wordnet_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="apt-get install wordnet-base"):
        wordnet.definitions(tmp_path)


def test_a_set_that_is_held_out_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "cls").mkdir()
    (tmp_path / "cls" / "LABELS.json").write_text(json.dumps({"news": {"held_out": True}}), "utf-8")
    with pytest.raises(ValueError, match="news is held out"):
        labelled_set(tmp_path, "news")


def test_the_right_label_above_the_wrong_ones_is_the_lesser_loss() -> None:
    batch = NLIBatch((Pair("It rains.", "weather", 0, 0), Pair("It rains.", "sport", NOT_ENTAILMENT, 0)))
    right = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    assert pair_loss(right, batch) < pair_loss(right.flip(0), batch)


def test_a_weight_is_trained_as_it_is_stored() -> None:
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(6, 96))
    trained = InFourBits()(weight)
    scales, integers = rounded(weight.detach().numpy(), INT4, axis=1)
    assert torch.equal(trained, torch.from_numpy(integers * scales.repeat(INT4.group, axis=1)))
    assert torch.equal(InFourBits()(trained), trained), "rounded twice, it is the same"
    (gradient,) = torch.autograd.grad(trained.sum(), weight)
    assert torch.equal(gradient, torch.ones_like(weight)), "gradients are as if it were not rounded"


def test_training_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    torch.manual_seed(1)
    batches = [torch.randn(8, 4) for _ in range(12)]

    def begin(checkpoint: Path, minutes: float) -> tuple[bool, torch.Tensor]:
        torch.manual_seed(2)
        model = torch.nn.Linear(4, 1)
        loss_of = lambda batch: (model(batch) - 1).square().mean()  # noqa: E731
        return train(model, batches, loss_of, Schedule(0.05), checkpoint, minutes), model.weight.detach()

    whole, expected = begin(tmp_path / "whole.pt", 60)
    stops = [begin(tmp_path / "stopped.pt", 0)[0] for _ in range(3)]  # 0 minutes: one step
    done, weights = begin(tmp_path / "stopped.pt", 60)
    assert (whole, stops, done) == (True, [False, False, False], True)
    assert torch.equal(weights, expected)


def test_the_learning_rate_rises_and_falls() -> None:
    schedule = Schedule(1e-4)
    rates = [schedule.rate_at(step, 100) for step in range(100)]
    assert max(rates) == rates[4] > 9e-5
    assert rates[-1] < 1e-5
    assert not loop.BF16


def test_a_batch_is_full_of_tokens_and_no_text_is_torn_from_its_labels() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(BUILTIN / "tokenizer.json"), pad_token="<pad>")
    words = random.Random(3)
    general = [Pair("it rains in the city " * words.randint(1, 9), "it is wet", 1) for _ in range(1800)]
    labelled = [
        Pair("the market fell " * (1 + group % 7), label, NOT_ENTAILMENT, group)
        for group in range(600)
        for label in ("money", "sport", "the weather")
    ]
    batches = _batches(general, labelled, tokenizer, words)
    padded = wanted = 0
    for batch in batches:
        asked = tokenizer(
            [each.premise for each in batch.pairs], [each.hypothesis for each in batch.pairs], padding=True
        )
        assert sum(map(len, asked["input_ids"])) <= 4096
        padded += sum(map(len, asked["input_ids"]))
        wanted += sum(map(sum, asked["attention_mask"]))
    assert padded < 1.1 * wanted
    assert sorted(map(repr, (pair for batch in batches for pair in batch.pairs))) == sorted(
        map(repr, general + labelled)
    )
    homes = [{pair.group for pair in batch.pairs if pair.group >= 0} for batch in batches]
    assert sum(map(len, homes)) == 600
