"""From a Hugging Face folder to an artefact: check the folder, take its ONNX file or export one, compare, check in.

Needs the extra `convert`; for a folder that has an ONNX file and tokenizer.json, only its `onnx`. Nothing of the folder
is executed: no pickle, no remote code.
"""

import gc
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from zerostart.errors import InvalidArtefact
from zerostart.models.artefact import Artefact, Manifest, read_artefact, sha256_of, write_manifest
from zerostart.models.embedder import MODULES, POOLING_CONFIG, SENTENCE_CONFIG
from zerostart.models.exporting import export
from zerostart.models.local_artefacts import folder_name
from zerostart.models.making import making
from zerostart.models.model_file import LARGEST_FILE_BYTES, MODEL, MODEL_WEIGHTS, WeightType
from zerostart.models.onnx_file import read_onnx
from zerostart.models.reference import Answer, check_runs, largest_difference, load_reference
from zerostart.models.source_folder import CONFIG, INDEX, TOKENIZER_CONFIG, SourceFolder, open_source_folder
from zerostart.models.tokenizer_file import write_tokenizer
from zerostart.nli.head import find_nli_head

# What weights may change in a probability, or in a number of an embedding, by the way in which they are stored.
TOLERANCES: dict[WeightType, float] = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.03, "int4": 0.1}
_DESCRIBING = (CONFIG, TOKENIZER_CONFIG, INDEX, MODULES, POOLING_CONFIG, SENTENCE_CONFIG)


@dataclass(frozen=True)
class ConversionReport:
    """The artefact that was made, and what it was made of.

    `max_probability_difference` is the largest difference from the original in torch in fp32; None if it was taken as
    it came. `origin` says in words where the graph comes from.
    """

    artefact: Artefact
    max_probability_difference: float | None
    origin: str


@dataclass(frozen=True)
class _Graph:
    """What is known of the graph that was written."""

    difference: float | None
    origin: str
    sources: tuple[Path, ...]


def convert(  # noqa: PLR0913 - what a model says of itself
    source: Path,
    models_folder: Path,
    model_id: str,
    *,
    revision: str = "local",
    licence: str = "unknown",
    languages: tuple[str, ...] = (),
    description: str = "",
    card: Path | None = None,
    weights: WeightType = "fp16",
    keep_weights: bool = False,
    largest_file_bytes: int = LARGEST_FILE_BYTES,
) -> ConversionReport:
    """Make the artefact `model_id` under `models_folder` from the Hugging Face folder `source`.

    `weights` is how they are stored, which says nothing of what the engine computes in. Those of more than
    `largest_file_bytes` go into a file of their own. `keep_weights` keeps the original ones beside, for the engine
    torch.
    Raises InvalidArtefact for a folder that is not an NLI model in safetensors or ONNX, or whose conversion differs
    from the original by more than TOLERANCES allow. The artefact appears whole or not at all.
    """
    name = folder_name(model_id)
    opened = open_source_folder(source)
    if opened.pooling is None:
        find_nli_head(opened.classes)
    with making(models_folder, name) as folder:
        made_of = write_tokenizer(opened, folder)
        graph = _write_graph(opened, folder, stored_as=weights, largest_file_bytes=largest_file_bytes)
        own_card = opened.file("README.md")
        chosen = card or own_card
        if chosen is not None and chosen.is_file():
            shutil.copyfile(chosen, folder / "README.md")
            made_of = (*made_of, chosen) if chosen == own_card else made_of
        if keep_weights:
            _keep_weights(opened, folder)
        manifest = Manifest(
            model_id=model_id,
            revision=revision,
            architecture=opened.model_type,
            kind="nli" if opened.pooling is None else "embedding",
            dimension=0 if opened.pooling is None else opened.dimension,
            classes=opened.classes,
            max_tokens=opened.max_tokens,
            pad_token_id=opened.pad_token_id,
            licence=licence,
            languages=languages,
            description=description,
            max_probability_difference=graph.difference,
            sources=_checksums(opened, (*made_of, *graph.sources)),
        )
        write_manifest(folder, manifest)
    return ConversionReport(read_artefact(models_folder / name), graph.difference, graph.origin)


def _keep_weights(source: SourceFolder, folder: Path) -> None:
    if not source.weights or source.pooling is not None:
        raise InvalidArtefact(
            f"{source.path} has no weights that the engine torch could run: it runs NLI models in safetensors."
        )
    described = [each for name in (CONFIG, INDEX) if (each := source.file(name))]
    for path in (*described, *source.weights):
        shutil.copyfile(path, folder / path.name)


def _write_graph(source: SourceFolder, folder: Path, *, stored_as: WeightType, largest_file_bytes: int) -> _Graph:
    """The folder's own ONNX file where it is right, else an export of its safetensors."""
    if source.onnx is not None and not (source.weights and _torch_is_installed()):
        taken = read_onnx(source.onnx, len(source.classes))
        # What is not compared is not changed.
        taken.write(folder, stored_as="fp32", largest_file_bytes=largest_file_bytes)
        check_runs(folder, len(source.classes), source.max_tokens)
        return _Graph(None, f"{source.onnx.name} of the folder, not compared with the original", taken.sources)
    reference = load_reference(source)
    answers = reference.answers()
    refusal = ""
    if source.onnx is not None:
        try:
            return _take(
                source, source.onnx, folder, answers, stored_as=stored_as, largest_file_bytes=largest_file_bytes
            )
        except InvalidArtefact as error:
            refusal = f"; {source.onnx.name} of the folder was not taken: {error}"
            _remove_graph(folder)
    export(reference, folder, stored_as=stored_as, largest_file_bytes=largest_file_bytes)
    del reference
    gc.collect()  # the engine needs the memory, and what was put into the model for the export refers to itself
    difference = _difference(folder, answers, TOLERANCES[stored_as])
    return _Graph(difference, f"exported from safetensors{refusal}", source.weights)


def _take(
    source: SourceFolder,
    onnx: Path,
    folder: Path,
    answers: list[Answer],
    *,
    stored_as: WeightType,
    largest_file_bytes: int,
) -> _Graph:
    taken = read_onnx(onnx, len(source.classes))
    taken.write(folder, stored_as=stored_as, largest_file_bytes=largest_file_bytes)
    difference = _difference(folder, answers, TOLERANCES[stored_as])
    return _Graph(difference, f"{onnx.name} of the folder", (*taken.sources, *source.weights))


def _difference(folder: Path, answers: list[Answer], tolerance: float) -> float:
    difference = largest_difference(folder, answers)
    if not difference <= tolerance:
        raise InvalidArtefact(
            f"The converted model differs from the original by {difference:.2g} in probability, and {tolerance} is "
            "allowed: its architecture or its weights do not survive the conversion."
        )
    return difference


def _remove_graph(folder: Path) -> None:
    for name in (MODEL, MODEL_WEIGHTS):
        (folder / name).unlink(missing_ok=True)


def _torch_is_installed() -> bool:
    return all(find_spec(name) is not None for name in ("torch", "transformers"))


def _checksums(source: SourceFolder, files: tuple[Path, ...]) -> dict[str, str]:
    """sha256 of each file that was read, by its path in the folder."""
    described = [each for name in _DESCRIBING if (each := source.file(name))]
    return {str(path.relative_to(source.path)): sha256_of(path) for path in sorted({*described, *files})}
