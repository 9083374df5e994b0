"""One contract for every engine, on the built-in model."""

import locale
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import BUILTIN
from zerostart.engines.base import EncodedBatch, Engine, EngineOptions
from zerostart.engines.registry import ENGINES, load_engine
from zerostart.errors import InvalidArtefact, InvalidSettings
from zerostart.models.artefact import read_artefact

CLASSES = 3
OPTIONS = EngineOptions(threads=2, precision="fp32", extends=read_artefact(BUILTIN).extended_graph)


@pytest.fixture(scope="module")
def torch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random BERT as torch reads it; the built-in artefact has no weights for torch."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("torch") / "bert"
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        num_labels=CLASSES,
        initializer_range=0.3,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest, torch_folder: Path) -> Iterator[Engine]:
    loaded = load_engine(request.param, torch_folder if request.param == "torch" else BUILTIN, CLASSES, OPTIONS)
    yield loaded
    loaded.close()


def batch_of(*lengths: int, width: int = 0, seed: int = 0) -> EncodedBatch:
    """Rows of random tokens. A row depends on its length and `seed` only, not on its neighbours."""
    width = max(width, *lengths)
    ids = np.zeros((len(lengths), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    types = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = np.random.default_rng((length, seed)).integers(1000, 20000, length)
        mask[row, :length] = 1
        types[row, length // 2 : length] = 1
    return EncodedBatch(ids, mask, types)


def test_it_says_what_it_is(engine: Engine) -> None:
    assert engine.name in ENGINES
    assert engine.precision == "fp32"
    assert engine.streams >= 1


@pytest.mark.parametrize("lengths", [(1,), (5, 9, 7), (12,) * 8])
def test_one_row_of_class_logits_for_each_pair(engine: Engine, lengths: tuple[int, ...]) -> None:
    logits = engine.logits(batch_of(*lengths))
    assert logits.shape == (len(lengths), CLASSES)
    assert np.issubdtype(logits.dtype, np.floating)
    assert np.isfinite(logits).all()


def test_the_same_batch_twice_gives_the_same_logits(engine: Engine) -> None:
    batch = batch_of(8, 20, 13)
    first = engine.logits(batch)
    kept = first.copy()
    engine.logits(batch_of(20, 3, 5, seed=1))
    np.testing.assert_array_equal(first, kept, "an answer must not change when the next batch is computed")
    np.testing.assert_array_equal(engine.logits(batch), kept)


def test_padding_changes_nothing(engine: Engine) -> None:
    np.testing.assert_allclose(engine.logits(batch_of(9)), engine.logits(batch_of(9, width=40)), atol=1e-4)


def test_rows_do_not_see_each_other(engine: Engine) -> None:
    lengths = (4, 30, 11, 17)
    together = engine.logits(batch_of(*lengths))
    alone = np.concatenate([engine.logits(batch_of(length)) for length in lengths])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_different_pairs_get_different_logits(engine: Engine) -> None:
    logits = engine.logits(batch_of(10, 11, 12))
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
    assert np.abs(logits[1] - logits[2]).max() > 1e-3


def test_as_many_threads_as_streams_may_call_at_once(engine: Engine) -> None:
    batches = [batch_of(5 + i, 9, 14, seed=i) for i in range(12)]
    expected = [engine.logits(batch) for batch in batches]
    with ThreadPoolExecutor(engine.streams) as threads:
        for actual, logits in zip(threads.map(engine.logits, batches), expected, strict=True):
            np.testing.assert_allclose(actual, logits, atol=1e-4)


def test_real_engines_agree_on_the_same_weights() -> None:
    batch = batch_of(6, 25, 14)
    answers = []
    for name in ("openvino", "onnxruntime"):
        engine = load_engine(name, BUILTIN, CLASSES, OPTIONS)
        answers.append(engine.logits(batch))
        engine.close()
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-3)


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidSettings, match=r"'tensorflow' is not known: use openvino, onnxruntime, torch, fake"):
        load_engine("tensorflow", BUILTIN, CLASSES, OPTIONS)


@pytest.mark.parametrize(
    ("name", "precision", "remedy"),
    [
        ("openvino", "fp64", "fp32, bf16, int8"),
        ("onnxruntime", "bf16", "use engine 'openvino'"),
        ("torch", "int8", "in fp32, bf16 and on a GPU fp16, not int8"),
    ],
)
def test_a_precision_that_the_engine_lacks_is_refused(name: str, precision: str, remedy: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_engine(name, BUILTIN, CLASSES, EngineOptions(precision=precision))
    assert name in caught.value.message
    assert precision in caught.value.message
    assert remedy in caught.value.message


WITHOUT_PACKAGE = """
import importlib.abc, sys
from pathlib import Path

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {"onnxruntime", "transformers"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from zerostart.engines.base import EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.errors import MissingExtra
for engine in ("onnxruntime", "torch"):
    try:
        load_engine(engine, Path("."), 3, EngineOptions())
    except MissingExtra as error:
        print(error)
"""


def test_a_missing_package_is_an_error_that_names_the_extra() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGE], capture_output=True, text=True, check=True)
    assert "pip install 'zerostart[onnxruntime]'" in run.stdout
    assert "pip install 'zerostart[torch]'" in run.stdout


def test_torch_computes_in_bf16_too_and_only_what_was_kept_for_it(torch_folder: Path) -> None:
    batch = batch_of(6, 25, 14)
    answers = []
    for precision in ("auto", "bf16"):
        engine = load_engine("torch", torch_folder, CLASSES, EngineOptions(threads=2, precision=precision))
        answers.append(engine.logits(batch))
        assert engine.precision == ("bf16" if precision == "bf16" else "fp32")
        engine.close()
    assert answers[1].dtype == np.float32
    assert 0 < np.abs(answers[0] - answers[1]).max() < 0.3
    with pytest.raises(InvalidArtefact, match="add or pull the model again with --keep-weights"):
        load_engine("torch", BUILTIN, CLASSES, OPTIONS)


def test_a_file_that_is_not_a_model_raises(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    for name in ("openvino", "onnxruntime"):
        with pytest.raises(Exception, match=r"(?i)model|protobuf"):
            load_engine(name, tmp_path, CLASSES, OPTIONS)


def test_the_first_two_calls_of_a_process_may_be_at_once() -> None:
    """OpenVINO's bindings set themselves up at their first use, and deadlock if two threads do it together."""
    script = """
import sys, threading, numpy as np
from pathlib import Path
from zerostart.engines.base import EncodedBatch, EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.models.artefact import read_artefact
artefact = read_artefact(Path(sys.argv[1]))
options = EngineOptions(threads=2, precision="fp32", extends=artefact.extended_graph)
engine = load_engine("openvino", artefact.folder, 3, options)
batch = EncodedBatch(*[np.ones((2, 9), dtype=np.int64)] * 3)
barrier = threading.Barrier(2)
threads = [threading.Thread(target=lambda: (barrier.wait(), engine.logits(batch))) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", script, str(BUILTIN)], check=True, timeout=30)


@pytest.mark.parametrize("length", [7, 13, 48, 130])
def test_a_pair_s_logits_are_the_same_to_the_bit_in_every_batch_of_its_length(engine: Engine, length: int) -> None:
    """What jobs are built on: they batch pairs of one length, and their output must not depend on the batches.

    It does with torch, whose matrix products differ in their last digits with the number of rows; docs/transform.md
    says so.
    """
    if engine.name == "torch":
        np.testing.assert_allclose(engine.logits(batch_of(length, length))[0], engine.logits(batch_of(length))[0], 1e-4)
        return
    most = 24 if length < 40 else 8  # a kernel for few tokens is for few short rows
    pool = [batch_of(length, seed=seed) for seed in range(most)]

    def joined(rows: list[int]) -> EncodedBatch:
        parts = [pool[row] for row in rows]
        return EncodedBatch(*(np.concatenate([getattr(p, n) for p in parts]) for n in vars(parts[0])))

    alone = np.concatenate([engine.logits(each) for each in pool])
    chooser = np.random.default_rng(0)
    for _ in range(20):
        rows = chooser.permutation(most)[: chooser.integers(1, most + 1)].tolist()
        assert np.array_equal(engine.logits(joined(rows)), alone[rows])


def test_models_that_load_at_once_leave_the_locale_as_it_was() -> None:
    """OpenVINO sets it to C while it reads a model: the encoding of files would be ASCII afterwards."""
    before = locale.setlocale(locale.LC_CTYPE)
    with ThreadPoolExecutor(4) as pool:
        for engine in pool.map(lambda _: load_engine("openvino", BUILTIN, CLASSES, OPTIONS), range(8)):
            engine.close()
    assert locale.setlocale(locale.LC_CTYPE) == before
