"""Evaluation of the New Year's resolutions: time, texts a second, and accuracy and macro-F1 before and after tuning."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerostart.bootstrap.classifier import build_bulk_classifier
from zerostart.evaluation.report import Subject
from zerostart.evaluation.scoring import Question, in_process
from zerostart.evaluation.tuning import Wishes
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.template import HypothesisTemplate
from zerostart.services.evaluation import evaluate, now_text, texts_to_ask
from zerostart.services.labelled_file import LabelledFile
from zerostart.settings import load_settings

_FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cls" / "new_years_resolutions.test.jsonl.gz"
_TOLD_EVERY_S = 30.0


@dataclass
class _Told:
    """Says now and then how far it is."""

    total: int
    done: int = 0
    started_s: float = field(default_factory=time.monotonic)
    said_s: float = field(default_factory=time.monotonic)

    def __call__(self, texts: int) -> None:
        self.done += texts
        if time.monotonic() - self.said_s > _TOLD_EVERY_S:
            self.said_s = time.monotonic()
            rate = self.done / (self.said_s - self.started_s)
            print(f"{self.done} of {self.total} texts, {rate:.1f} texts/s", file=sys.stderr, flush=True)


def resolutions() -> dict[str, Any]:
    """5,007 texts x 10 labels on the built-in model: a run over all as asked, then tuning.

    Figures are `[value, low, high]`; `before` and `after` are of the rows that tuning did not see.
    """
    if not _FILE.is_file():
        raise SystemExit(f"{_FILE} is not there: this needs texts with labels.")
    rows = LabelledFile(_FILE).rows()
    question, wishes = Question(rows.labels, HypothesisTemplate()), Wishes()
    classifier = build_bulk_classifier(load_settings(), BUILTIN_MODEL_ID)
    manifest = classifier.artefact.manifest
    subject = Subject(_FILE.name, BUILTIN_MODEL_ID, now_text(), BUILTIN_MODEL_ID, manifest.revision)
    started_s = time.perf_counter()
    told = _Told(texts_to_ask(rows, question, wishes))
    found = evaluate(subject, rows, question, in_process(classifier), told, wishes).document
    seconds = time.perf_counter() - started_s
    classifier.close()
    tuning = found["tuning"]
    return {
        "rows": len(rows),
        "labels": len(rows.labels),
        "model_revision": manifest.revision,
        "seconds": round(found["speed"]["seconds"], 1),
        "texts_per_s": round(found["speed"]["texts_per_s"], 1),
        "pairs_per_s": round(found["speed"]["pairs_per_s"], 1),
        "seconds_with_tuning": round(seconds, 1),
        "all_rows": _figures(found),
        "tuned_rows": tuning["tuned_rows"],
        "held_rows": tuning["held_rows"],
        "before": _figures(tuning["before"]),
        "after": _figures(tuning["after"]),
        "template": tuning["profile"]["hypothesis_template"],
        "verdict": tuning["comparison"]["sentence"],
    }


def _figures(measured: dict[str, Any]) -> dict[str, Any]:
    shown = {
        name: [round(each[key], 3) for key in ("value", "low", "high")] for name, each in measured["figures"].items()
    }
    return {**shown, "calibration_error": round(measured["reliability"]["ece"], 3)}
