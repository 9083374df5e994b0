"""Make the built-in artefact from a Hugging Face folder: python training/convert.py ../shared/models/seed-nli

Run it again only to replace the built-in model; the result is committed. Needs `pip install -e '.[convert]'`.
"""

import argparse
import shutil
from pathlib import Path

from zerostart.models.conversion import convert
from zerostart.models.local_artefacts import BUILTIN_FOLDER, BUILTIN_MODEL_ID


def main() -> None:
    """Convert, and say how close the result is to the original."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with config.json, tokenizer.json, *.safetensors")
    parser.add_argument("--models-folder", type=Path, default=BUILTIN_FOLDER)
    parser.add_argument("--model-id", default=BUILTIN_MODEL_ID)
    parser.add_argument("--card", type=Path, default=Path(__file__).parent / "card.md", help="the model card")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.models_folder / arguments.model_id, ignore_errors=True)
    report = convert(
        arguments.source,
        arguments.models_folder,
        arguments.model_id,
        revision="1",
        licence="Apache-2.0",
        languages=("en",),
        description="Small English model for any topic (MiniLM-L6, 22M parameters).",
        card=arguments.card,
    )
    print(f"{report.artefact.folder}: {report.artefact.size_bytes / 1e6:.1f} MB")
    print(f"{report.origin}; largest probability difference from the original: {report.max_probability_difference}")


if __name__ == "__main__":
    main()
