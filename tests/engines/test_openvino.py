"""The compiled model that OpenVINO's engine keeps, so that a model loads in a third of the time."""

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as opset

from tests.engines.test_contract import CLASSES, batch_of
from tests.tiny_models import BUILTIN
from zerostart.engines.base import EncodedBatch, EngineOptions, Logits
from zerostart.engines.openvino import _keep_linear_layers_apart
from zerostart.engines.registry import load_engine
from zerostart.models.artefact import BUILTIN_FOLDER, read_artefact

BATCH = batch_of(*range(3, 40))


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    extends = read_artefact(BUILTIN).extended_graph
    return EngineOptions(1, "fp32", cache_folder=tmp_path / "cache", weights="a" * 64, extends=extends)


def answers(options: EngineOptions) -> Logits:
    engine = load_engine("openvino", BUILTIN, CLASSES, options)
    try:
        return engine.logits(BATCH)
    finally:
        engine.close()


def kept(options: EngineOptions) -> list[Path]:
    assert options.cache_folder is not None
    return sorted(options.cache_folder.iterdir())


def test_it_answers_the_same_from_the_file_with_any_number_of_threads(options: EngineOptions) -> None:
    fresh = answers(replace(options, cache_folder=None))
    np.testing.assert_array_equal(answers(options), fresh)
    (file,) = kept(options)
    made_at = file.stat().st_mtime_ns
    np.testing.assert_array_equal(answers(options), fresh)
    np.testing.assert_allclose(answers(replace(options, threads=2)), fresh, atol=1e-5)
    np.testing.assert_allclose(answers(replace(options, frugal=True)), fresh, atol=1e-5)
    assert [(each, each.stat().st_mtime_ns) for each in kept(options)] == [(file, made_at)]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_process_that_made_the_file_computes_the_same_to_the_bit_as_later_ones(
    options: EngineOptions, precision: str
) -> None:
    options = replace(options, precision=precision)
    first = answers(options)
    np.testing.assert_array_equal(answers(options), first)
    assert options.cache_folder is not None
    nowhere = options.cache_folder.parent / "a file"
    nowhere.touch()
    np.testing.assert_array_equal(answers(replace(options, cache_folder=nowhere)), first)


def test_bf16_is_never_emulated(options: EngineOptions) -> None:
    native = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    engine = load_engine("openvino", BUILTIN, CLASSES, replace(options, precision="bf16"))
    try:
        assert engine.precision == ("bf16" if native else "fp32")
    finally:
        engine.close()


def test_each_precision_has_its_own_and_other_weights_replace_it(options: EngineOptions) -> None:
    fp32, int8 = answers(options), answers(replace(options, precision="int8"))
    old = kept(options)
    assert len(old) == 2
    np.testing.assert_array_equal(answers(replace(options, precision="int8")), int8)
    assert not np.array_equal(fp32, int8)
    answers(replace(options, weights="b" * 64))
    (new,) = kept(options)
    assert new not in old


@pytest.mark.parametrize("content", [b"", b"not a compiled model", None])
def test_a_broken_file_is_said_and_made_anew(
    options: EngineOptions, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    expected = answers(options)
    (file,) = kept(options)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(answers(options), expected)
    assert f"{file} cannot be used and is made anew" in caplog.text
    assert kept(options) == [file]
    caplog.clear()
    np.testing.assert_array_equal(answers(options), expected)
    assert "cannot be used" not in caplog.text


def test_without_room_it_is_not_kept_and_answers(options: EngineOptions, caplog: pytest.LogCaptureFixture) -> None:
    assert options.cache_folder is not None
    options.cache_folder.write_text("a file where the folder would be")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(answers(options), answers(replace(options, cache_folder=None)))
    assert "is not kept" in caplog.text


def test_what_a_killed_process_left_half_written_is_removed(options: EngineOptions) -> None:
    assert options.cache_folder is not None
    options.cache_folder.mkdir()
    old, young = options.cache_folder / "x.1.part", options.cache_folder / "x.2.part"
    for each in (old, young):
        each.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    answers(options)
    assert not old.exists()
    assert young.exists()


def test_many_that_load_it_at_once_get_the_same(options: EngineOptions) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: answers(options), range(8)))
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])
    assert len(kept(options)) == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_weights_stored_in_four_bits_are_multiplied_as_numbers(precision: str) -> None:
    """OpenVINO has kernels of its own for such weights, with which a row depends on what is beside it."""
    artefact = read_artefact(BUILTIN_FOLDER / "zerostart-embed-base")
    options = EngineOptions(threads=1, precision=precision)
    engine = load_engine("openvino", artefact.folder, artefact.manifest.dimension, options)
    batch = batch_of(*[20] * 12)
    together = engine.logits(batch)
    for row in range(12):
        alone = EncodedBatch(
            *(each[row : row + 1] for each in (batch.input_ids, batch.attention_mask, batch.token_type_ids))
        )
        np.testing.assert_array_equal(engine.logits(alone)[0], together[row])
    engine.close()


def changed_and_before(build: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What a graph on numbers of shape (2, 3, 8) answers with linear layers kept apart, and as it was."""
    x = opset.parameter([2, 3, 8], np.float32)
    model = openvino.Model([opset.result(build(x))], [x])
    given = np.random.default_rng(0).standard_normal((2, 3, 8), dtype=np.float32)
    properties = {"INFERENCE_PRECISION_HINT": "f32"}
    before = np.array(openvino.compile_model(model, "CPU", properties)(given)[0])
    _keep_linear_layers_apart(model)
    return np.array(openvino.compile_model(model, "CPU", properties)(given)[0]), before


def number(value: float) -> Any:
    return opset.constant(np.float32(value))


def linear(x: Any, seed: int) -> Any:
    random = np.random.default_rng(seed)
    weight, bias = (random.standard_normal(shape, dtype=np.float32) for shape in ((8, 8), (1, 1, 8)))
    return opset.add(opset.matmul(x, opset.constant(weight), False, False), opset.constant(bias))


def gelu(x: Any) -> Any:
    erf = opset.erf(opset.divide(x, number(2**0.5)))
    return opset.multiply(opset.multiply(x, opset.add(erf, number(1))), number(0.5))


def gelu_halved_first(x: Any) -> Any:
    """Its last factor is a gate, and no half."""
    erf = opset.erf(opset.divide(x, number(2**0.5)))
    value = opset.multiply(opset.multiply(x, number(0.5)), opset.add(erf, number(1)))
    return opset.multiply(value, linear(x, 3))


def attention(x: Any) -> Any:
    return opset.divide(opset.matmul(linear(x, 1), linear(x, 2), False, True), number(8))


def attention_that_reads_queries_twice(x: Any) -> Any:
    queries = linear(x, 1)
    scores = opset.divide(opset.matmul(queries, linear(x, 2), False, True), number(8))
    return opset.add(scores, opset.matmul(queries, linear(x, 4), False, True))


@pytest.mark.parametrize("build", [gelu, gelu_halved_first, attention, attention_that_reads_queries_twice, opset.tanh])
def test_linear_layers_that_are_kept_apart_answer_the_same(build: Callable[[Any], Any]) -> None:
    """What looks like GELU or attention and is none must not be taken for it."""
    changed, before = changed_and_before(build)
    np.testing.assert_allclose(changed, before, atol=2e-5)
