"""Engines by name, imported only when one is loaded."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from zerostart.engines.base import Engine, EngineOptions
from zerostart.errors import InvalidSettings, MissingExtra

ENGINES = {
    "openvino": "zerostart.engines.openvino:load",
    "onnxruntime": "zerostart.engines.onnxruntime:load",
    "torch": "zerostart.engines.torch:load",
    "fake": "zerostart.engines.fake:load",
}

LoadEngine = Callable[[Path, int, EngineOptions], Engine]


def load_engine(name: str, folder: Path, classes: int, options: EngineOptions) -> Engine:
    """The model in `folder`, which answers `classes` logits a pair, loaded by the engine `name`.

    Raises InvalidSettings for an unknown name, MissingExtra where the engine's package is not installed.
    """
    if name not in ENGINES:
        raise InvalidSettings(f"Engine {name!r} is not known: use {', '.join(ENGINES)}.")
    module, function = ENGINES[name].split(":")
    try:
        load = cast("LoadEngine", getattr(import_module(module), function))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in {name, "transformers"}:
            raise
        raise MissingExtra(f"Engine {name!r} is not installed: run pip install 'zerostart[{name}]'.") from error
    return load(folder, classes, options)
