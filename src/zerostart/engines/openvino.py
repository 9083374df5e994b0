"""OpenVINO on the CPU: the default engine."""

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np

# `import openvino` starts its telemetry, which keeps an id in the user's home and reports to Google Analytics. Without
# the package it does neither; OpenVINO has a stub for that.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino
from openvino import opset13 as opset
from openvino.passes import ConstantFolding, Manager

from zerostart.engines.base import EncodedBatch, EngineOptions, Logits
from zerostart.errors import InvalidSettings

logger = logging.getLogger(__name__)
_PRECISIONS = ("fp32", "bf16", "int8")
_LEAST_WEIGHTS_TO_ROUND = 65536
# Activations are rounded in groups of so many.
_INT8_GROUP = 64
# Compiled kernels that are kept, of 5,000 by default; a job's batches have few shapes, and 128 cost it no time
_FRUGAL_KERNELS = 128
_LONGEST_WRITE_S = 3600
_ROUNDED, _KEPT_ROUNDED = "rounded", "kept rounded"
_MAKE = "import sys; from zerostart.engines.openvino import make; make(*sys.argv[1:])"
_bindings = Lock()


class OpenVinoEngine:
    """A compiled model with one infer request for each stream."""

    name = "openvino"

    def __init__(self, compiled: Any, precision: str, streams: int, mapped: Any = None) -> None:
        """`mapped` is the memory that the model computes from, where it is not its own."""
        self.precision = precision
        self.streams = streams
        self._mapped = mapped
        self._inputs = [each.any_name for each in compiled.inputs]
        self._compiled = compiled
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def logits(self, batch: EncodedBatch) -> Logits:
        """Logits, shape (pairs, classes), float32."""
        request = self._requests.get()
        try:
            outputs = request.infer({name: getattr(batch, name) for name in self._inputs}, share_inputs=True)
            return np.array(outputs[0], dtype=np.float32)
        finally:
            self._requests.put(request)

    def close(self) -> None:
        """Drop the requests and the model."""
        while not self._requests.empty():
            self._requests.get()
        del self._compiled
        self._mapped = None


def load(folder: Path, classes: int, options: EngineOptions) -> OpenVinoEngine:
    """Load `model.onnx` of `folder`.

    `auto` is bf16 where the processor multiplies it in hardware (AMX or AVX512_BF16), else fp32, and so is bf16. int8
    rounds weights and activations; where the processor does not multiply int8, weights alone, and it is no quicker
    than fp32.
    """
    del classes
    _initialise_bindings()
    core = openvino.Core()
    precision = options.precision
    if precision in ("auto", "bf16"):  # emulated, bf16 takes 50 times as long
        precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"
    if precision not in _PRECISIONS:
        raise InvalidSettings(f"Engine 'openvino' computes in {', '.join(_PRECISIONS)}, not {precision}.")
    in_int8 = precision == "int8" and _processor_has("avx512_vnni|avx_vnni|amx_int8|asimddp")
    threads = options.threads or os.cpu_count() or 1
    streams = min(threads, 4)
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": _INT8_GROUP if in_int8 else 0,
    }
    if options.frugal:
        properties["CPU_RUNTIME_CACHE_CAPACITY"] = _FRUGAL_KERNELS

    rounding = None if precision != "int8" else _KEPT_ROUNDED if in_int8 else _ROUNDED
    separate = properties["INFERENCE_PRECISION_HINT"] == "f32" and not _processor_has("avx512f|asimd")
    extends = None if options.extends is None else str(options.extends)
    plan = _Plan(str(folder / "model.onnx"), extends, separate, rounding, properties)
    kept = _kept_model(core, options, f"{precision}{' kernels' * in_int8}{' apart' * separate}")
    model, mapped = (plan.compiled(core), None) if kept is None else kept.model(plan)
    return OpenVinoEngine(model, precision, streams, mapped)


@dataclass(frozen=True)
class _Plan:
    """How a model file is compiled. Everything in it can be written as JSON."""

    path: str
    extends: str | None
    separate: bool
    rounding: str | None
    properties: dict[str, Any]

    def compiled(self, core: Any) -> Any:
        """The compiled model."""
        model = self._read(core)
        _unpack_weights(model)
        _share_indexes(model)
        if self.separate:
            _keep_linear_layers_apart(model)
        if self.rounding is not None:
            _round_weights(model, kept_rounded=self.rounding == _KEPT_ROUNDED)
        return core.compile_model(model, "CPU", self.properties)

    def _read(self, core: Any) -> Any:
        if self.extends is None:
            return core.read_model(self.path)
        # Messages of protobuf that follow each other are one message, with the nodes and weights of both.
        whole = core.read_model(Path(self.extends).read_bytes() + Path(self.path).read_bytes())
        return openvino.Model([whole.get_results()[-1]], whole.get_parameters())


def _processor_has(flags: str) -> bool:
    """Whether the processor has one of `flags`, divided by `|`, as Linux says; elsewhere it is taken not to."""
    try:
        found = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return re.search(rf"\b({flags})\b", found) is not None


def _kept_model(core: Any, options: EngineOptions, precision: str) -> "_KeptModel | None":
    """Where the compiled model is kept, if it is to be: by its weights, the precision, the processor, and OpenVINO."""
    if options.cache_folder is None or not options.weights:
        return None
    made_by = f"{openvino.get_version()} {core.get_property('CPU', 'FULL_DEVICE_NAME')} {precision}"
    key = hashlib.sha256(made_by.encode()).hexdigest()[:16]
    return _KeptModel(core, options.cache_folder, options.weights[:16], key)


@dataclass(frozen=True)
class _KeptModel:
    """A compiled model in a file that is mapped into memory: a third of the time that OpenVINO's own cache takes.

    That one also changes the locale of the process, and two models that load at once leave it changed.
    """

    core: Any
    folder: Path
    weights: str
    key: str

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.weights}-{self.key}.blob"

    def model(self, plan: _Plan) -> tuple[Any, Any]:
        """The model, and the memory that it is in: that of the file, made anew where it is missing or broken.

        It is made by a process of its own, which takes three times the memory that the model needs and gives it back.
        """
        try:
            return self._read(plan.properties)
        except FileNotFoundError:
            pass
        except (RuntimeError, ValueError, OSError) as error:
            logger.warning("%s cannot be used and is made anew: %s", self._path, str(error)[:200])
        try:
            self._make(plan)
            return self._read(plan.properties)
        except (RuntimeError, OSError) as error:
            logger.warning("the compiled model is not kept, so that loading it takes longer: %s", error)
        content = plan.compiled(self.core).export_model().getbuffer()
        # Read back too, since in int8 its last digits differ from those of what is kept.
        return self._imported(np.array(content, dtype=np.uint8), plan.properties)

    def _read(self, properties: Mapping[str, Any]) -> tuple[Any, Any]:
        return self._imported(np.memmap(self._path, dtype=np.uint8, mode="c"), properties)

    def _imported(self, memory: Any, properties: Mapping[str, Any]) -> tuple[Any, Any]:
        return self.core.import_model(openvino.Tensor(memory, shared_memory=True), "CPU", properties), memory

    def _make(self, plan: _Plan) -> None:
        """Write the file at once or not at all, and remove what is of other weights."""
        logger.info("%s is compiled for this machine, which is done once", plan.path)
        self.folder.mkdir(parents=True, exist_ok=True)
        # A name of its own for each writer: two threads must not write what one of them has mapped by then.
        handle, name = tempfile.mkstemp(".part", dir=self.folder)
        os.close(handle)
        part = Path(name)
        try:
            made = subprocess.run(
                [sys.executable, "-P", "-c", _MAKE, json.dumps(asdict(plan)), name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                said = made.stderr.strip().splitlines() or [f"it ended with {made.returncode}"]
                raise RuntimeError(said[-1][:300])
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
        for each in self.folder.iterdir():
            abandoned = each.suffix == ".part" and time.time() - each.stat().st_mtime > _LONGEST_WRITE_S
            if abandoned or (each.suffix == ".blob" and not each.name.startswith(self.weights)):
                each.unlink(missing_ok=True)


def make(plan: str, path: str) -> None:
    """Compile what `plan`, in JSON, says, and write it to `path`: the whole work of the process that does it."""
    compiled = _Plan(**json.loads(plan)).compiled(openvino.Core())
    content = compiled.export_model().getbuffer()
    Path(path).write_bytes(content)


def _initialise_bindings() -> None:
    """Make OpenVINO's Python bindings set up their numpy types now, from one thread.

    Two threads that do it together deadlock: one holds the lock of a C++ static and waits for Python's, the other the
    other way round.
    """
    with _bindings:
        openvino.Tensor(np.zeros((1, 1), dtype=np.int64), shared_memory=True).get_element_type().to_dtype()


def _unpack_weights(model: Any) -> None:
    """Make floats of weights that are stored as integers: multiplied as they are, rows would depend on their batch."""
    packed = {"i4", "u4", "i8", "u8"}
    if any(
        node.get_type_name() == "Constant" and node.get_output_element_type(0).get_type_name() in packed
        for node in model.get_ordered_ops()
    ):
        passes = Manager()
        passes.register_pass(ConstantFolding())
        passes.run_passes(model)


def _share_indexes(model: Any) -> None:
    """Expand the relative positions of DeBERTa's attention once, not in every layer (5 to 9 % of its time)."""
    expanded: dict[str, Any] = {}
    for node in model.get_ordered_ops():
        indexes = node.input_value(1).get_node() if node.get_type_name() == "GatherElements" else None
        if indexes is not None and indexes.get_type_name() == "Broadcast":
            first = expanded.setdefault(indexes.input_value(0).get_node().get_name(), indexes)
            node.input(1).replace_source_output(first.output(0))


def _keep_linear_layers_apart(model: Any) -> None:
    """Keep OpenVINO from computing what follows a linear layer within it.

    Without AVX-512 such a layer of over 384 inputs has a kernel that adds up small and large batches in two ways, and a
    row would depend on what is beside it. GELU is written in a form that OpenVINO does not take for one, and the scale
    of attention, which it would move into the layer of the keys, is put into the weights of the queries. That of tanh
    reads the layer twice, which keeps it apart.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Erf":
            _write_gelu_as_two(node)
        elif node.get_type_name() == "Divide":
            _scale_queries(node)
        elif node.get_type_name() == "Tanh":
            doubled = opset.add(node.input_value(0), node.input_value(0))
            scaled = opset.multiply(opset.sigmoid(doubled), opset.constant(np.float32(2)))
            _replace(node, opset.subtract(scaled, opset.constant(np.float32(1))))


def _write_gelu_as_two(erf: Any) -> None:
    """Half of x(1 + erf) as x(0.5 + 0.5 erf); what is another formula stays as it is."""
    plus_one = _only_user(erf, "Add")
    times_x = plus_one and _only_user(plus_one, "Multiply")
    halved = times_x and _only_user(times_x, "Multiply")
    if halved is None or 1.0 not in _scalars(plus_one) or 0.5 not in _scalars(halved):
        return
    added = plus_one.get_friendly_name()
    x = next(each for each in times_x.input_values() if each.get_node().get_friendly_name() != added)
    half = opset.constant(np.float32(0.5))
    _replace(halved, opset.multiply(x, opset.add(opset.multiply(erf, half), half)))


def _scale_queries(divide: Any) -> None:
    """Divide the weights and the bias of the queries in place of their products with the keys, by a power of two.

    Only where nothing else reads the queries, nor the products.
    """
    products = divide.input_value(0).get_node()
    scale = next(iter(_scalars(divide)), 0.0)
    if products.get_type_name() != "MatMul" or scale <= 0 or np.frexp(scale)[0] != 0.5:
        return
    added = products.input_value(0).get_node()
    path = [products, added]
    while added.get_type_name() in ("Transpose", "Reshape"):
        added = added.input_value(0).get_node()
        path.append(added)
    kinds = [each.get_node().get_type_name() for each in added.input_values()]
    if added.get_type_name() != "Add" or "MatMul" not in kinds:
        return
    linear = kinds.index("MatMul")
    path.append(added.input_value(linear).get_node())
    places = [added.input(1 - linear), path[-1].input(1)]
    constants = [each.get_source_output().get_node() for each in places]
    alone = all(len(each.output(0).get_target_inputs()) == 1 for each in path)
    if not alone or any(each.get_type_name() != "Constant" for each in constants):
        return
    for place, constant in zip(places, constants, strict=True):
        place.replace_source_output(opset.constant(constant.data / np.float32(scale)).output(0))
    _replace(divide, products)


def _scalars(node: Any) -> list[float]:
    """The numbers that it reads as constants of one element."""
    read = [each.get_node() for each in node.input_values()]
    return [float(each.data.item()) for each in read if each.get_type_name() == "Constant" and each.data.size == 1]


def _only_user(node: Any, kind: str) -> Any:
    """The node of that kind that alone reads `node`, or None."""
    users = [each.get_node() for each in node.output(0).get_target_inputs()]
    return users[0] if len(users) == 1 and users[0].get_type_name() == kind else None


def _replace(node: Any, by: Any) -> None:
    """Let what reads `node` read `by`."""
    for each in node.output(0).get_target_inputs():
        each.replace_source_output(by.output(0))


def _round_weights(model: Any, *, kept_rounded: bool) -> None:
    """Round the weights of linear layers to int8 with one scale for each output.

    They are kept so, as OpenVINO's kernels of int8 take them, or as the float32 that they stand for. Without such
    kernels OpenVINO would multiply small and large batches in two ways, and a row would depend on what is beside it.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(1).get_node()
        constant = source.input_value(0).get_node() if source.get_type_name() == "Convert" else source
        if constant.get_type_name() != "Constant" or len(constant.shape) != 2:
            continue
        weights = np.array(constant.data, dtype=np.float32)
        if weights.size < _LEAST_WEIGHTS_TO_ROUND:
            continue
        input_axis = 1 if node.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(weights).max(axis=input_axis, keepdims=True), np.finfo(np.float32).tiny) / 127
        rounded = np.round(weights / scale)
        if kept_rounded:
            converted = opset.convert(opset.constant(rounded.astype(np.int8)), "f32")
            replacement = opset.multiply(converted, opset.constant(scale))
        else:
            replacement = opset.constant((rounded * scale).astype(np.float32))
        node.input(1).replace_source_output(replacement.output(0))
