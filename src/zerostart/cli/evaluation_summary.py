"""Reports on a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "balanced_accuracy": "balanced accuracy",
}
_BAR_WIDTH = 16
_LABELS_SHOWN = 40
_PAIRS_SHOWN = 5


def print_summary(document: dict[str, Any]) -> None:
    """The most of an evaluation on one screen."""
    console = Console(highlight=False)
    speed = document["speed"]
    console.print(
        Text(
            f"{document['file']}: {document['rows']:,} texts, {len(document['labels'])} labels, {document['model']}, "
            f"{document['template']!r}, {speed['texts_per_s']:.1f} texts/s"
        )
    )
    for reason, count in document["left_out"].items():
        console.print(f"{count:,} rows were left out: {reason}.")
    console.print(_figures(document["figures"]))
    console.print(_labels(document))
    for pair in document["confused_pairs"][:_PAIRS_SHOWN]:
        console.print(Text(f"{pair['rows']:>6,} x {pair['label']} answered as {pair['answer']}"))
    console.print(
        f"{document['mislabelled']['count']:,} rows disagree confidently with their label. "
        f"Calibration error {document['reliability']['ece']:.1%}."
    )
    if document["unsure"] is not None:
        console.print(_unsure(document["unsure"]))
    if document["tuning"] is not None:
        _print_tuning(console, document["tuning"])
    for note in document["notes"]:
        console.print(Text(f"! {note}", style="yellow"))


def print_comparison(document: dict[str, Any]) -> None:
    """Two sides and the verdict."""
    console = Console(highlight=False)
    table = Table("", *(escape(side["name"]) for side in document["sides"]))
    for name in document["sides"][0]["figures"]:
        table.add_row(_NAMES[name], *(_with_range(side["figures"][name]) for side in document["sides"]))
    console.print(table)
    style = {"better": "green", "worse": "red"}.get(document["verdict"], "yellow")
    console.print(Text(document["sentence"], style=style))
    for note in document["notes"]:
        console.print(Text(f"! {note}", style="yellow"))


def _figures(figures: dict[str, Any]) -> Table:
    table = Table("figure", "value", "95 % interval")
    for name, each in figures.items():
        table.add_row(_NAMES[name], f"{each['value']:.3f}", f"{each['low']:.3f} to {each['high']:.3f}")
    return table


def _labels(document: dict[str, Any]) -> Table:
    areas = ["AUC"] if document["multi_label"] else []
    table = Table("label", "F1", "", "precision", "recall", *areas, "rows", "answered")
    for each in document["per_label"][:_LABELS_SHOWN]:
        bar = Text("█" * round(each["f1"] * _BAR_WIDTH), style="green")
        area = ["" if each["auc"] is None else f"{each['auc']:.2f}"] if areas else []
        shares = f"{each['precision']:.2f}", f"{each['recall']:.2f}"
        counts = f"{each['support']:,}", f"{each['answered']:,}"
        table.add_row(Text(each["name"]), f"{each['f1']:.2f}", bar, *shares, *area, *counts)
    if (more := len(document["per_label"]) - _LABELS_SHOWN) > 0:
        table.caption = f"and {more} more in the report"
    return table


def _print_tuning(console: Console, tuning: dict[str, Any]) -> None:
    console.print(f"Tuned on {tuning['tuned_rows']:,} rows, measured on {tuning['held_rows']:,} others:", style="bold")
    table = Table("", "as asked", "tuned")
    for name, before in tuning["before"]["figures"].items():
        table.add_row(_NAMES[name], _with_range(before), _with_range(tuning["after"]["figures"][name]))
    errors = (f"{tuning[side]['reliability']['ece']:.1%}" for side in ("before", "after"))
    table.add_row("calibration error", *errors)
    console.print(table)
    profile = tuning["profile"]
    console.print(Text(f"Template: {profile['hypothesis_template']}   temperature {profile['temperature']:g}"))
    for name, label in profile["labels"].items():
        if "wording" in label:
            console.print(Text(f"  {name}: {label['wording']}"))
    if tuning["after"]["unsure"] and tuning["after"]["unsure"]["unsure"]:
        console.print(_unsure(tuning["after"]["unsure"]))
    console.print(Text(tuning["comparison"]["sentence"]))
    for note in tuning["notes"]:
        console.print(Text(f"! {note}", style="yellow"))


def _unsure(unsure: dict[str, Any]) -> str:
    right = "none is left" if unsure["accuracy"] is None else f"{unsure['accuracy']:.1%} of the others are right"
    return f"{unsure['unsure']:,} answers are unsure; {right} ({unsure['coverage']:.1%} of the texts)."


def _with_range(each: dict[str, Any]) -> str:
    return f"{each['value']:.3f} ({each['low']:.3f} to {each['high']:.3f})"
