"""zerostart classify: texts in, a table or JSON Lines out, in this process."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from zerostart.cli.profiles import PROFILE_HELP, check_applies
from zerostart.cli.records import STANDARD_INPUT, Record, TextFile, check_output, document, read_lines, writer
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import CandidateLabels, check_text, parse_labels
from zerostart.nli.profile import Profile, read_profile
from zerostart.nli.shortlist import Shortlist, written_shortlist
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate
from zerostart.nli.windows import LongText
from zerostart.serving.payload import long_text_choice
from zerostart.settings import load_settings

_PAIRS_AT_A_TIME = 1024
_BAR_WIDTH = 24
Results = Iterator[tuple[Record, Classification | None]]


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class _Question:
    """What is asked of each text."""

    labels: CandidateLabels
    template: HypothesisTemplate
    multi_label: bool
    long_text: LongText
    shortlist: Shortlist | None
    scorer: ScorerName | None

    def about(self, texts: Sequence[str]) -> ClassificationRequest:
        """The request for some texts."""
        labels = (self.labels,) * len(texts)
        return ClassificationRequest(
            tuple(texts), labels, self.template, self.multi_label, self.long_text, self.shortlist, self.scorer
        )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(classify)


def classify(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Texts to classify.")] = None,
    labels: Annotated[str, typer.Option(help="Candidate labels, separated by commas.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="One candidate label, which may hold a comma; repeat it.")
    ] = None,
    labels_file: Annotated[
        Path | None, typer.Option(help="File with a label, or label<TAB>description, a line.")
    ] = None,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="Score each label on its own.")] = False,
    template: Annotated[str, typer.Option(help="Hypothesis, with {} for the label.")] = DEFAULT_HYPOTHESIS_TEMPLATE,
    model: Annotated[str, typer.Option(help="Model id; 'zerostart models list' shows those here.")] = BUILTIN_MODEL_ID,
    long_text: Annotated[str, typer.Option(help="truncate, or windows: read a long text in parts.")] = "truncate",
    shortlist: Annotated[
        str, typer.Option(help="With many labels: score only so many, the best by an embedding; a number, or auto.")
    ] = "",
    scorer: Annotated[
        str, typer.Option(help="nli, or hybrid: with an embedding as second opinion; what suits the model if left out.")
    ] = "",
    profile: Annotated[Path | None, typer.Option(help=PROFILE_HELP)] = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to print results.")] = Format.TABLE,
    input_path: Annotated[
        str, typer.Option("--input", help="File with texts: .txt, .csv, .jsonl, or - (a text a line).")
    ] = "",
    text_column: Annotated[str, typer.Option(help="Column (CSV) or key (JSONL) that holds the text.")] = "text",
    output: Annotated[Path | None, typer.Option(help="File for the results of --input: .jsonl or .csv.")] = None,
) -> None:
    """Classify texts by labels that you name.

    Example: zerostart classify "One day I will see the world" --labels travel,cooking,dancing

    Example: zerostart classify --input reviews.csv --text-column review --labels praise,complaint --output scored.csv
    """
    tuned = read_profile(profile) if profile else None
    candidates = candidate_labels(labels, label or [], labels_file, tuned)
    question = _Question(
        candidates,
        HypothesisTemplate(template),
        multi_label or (tuned is not None and tuned.multi_label),
        long_text_choice(long_text, "--long-text"),
        written_shortlist(shortlist, "--shortlist"),
        scorer_choice(scorer or None, "--scorer"),
    )
    if tuned is not None:
        check_applies(tuned, candidates, question.about(["a text"]))
    if bool(texts) == bool(input_path):
        raise InvalidInput("Give texts as arguments, or a file with --input: one of the two.")
    if texts:
        if output is not None:
            raise InvalidInput("--output goes with --input; for texts as arguments use: --format json > results.jsonl")
        records = [Record(check_text(text, f"TEXT {number}")) for number, text in enumerate(texts, start=1)]
        _print(_results(model, question, records, tuned), output_format)
        return
    source = TextFile(input_path, text_column)
    if output is None:
        _print(_results(model, question, source.records(), tuned), output_format)
    else:
        check_output(output)
        _classify_file(model, question, source, output, tuned)


def candidate_labels(
    joined: str, single: Sequence[str], file: Path | None, profile: Profile | None = None
) -> CandidateLabels:
    """The labels by the one option that names them, or else the profile's. Raises InvalidInput."""
    if profile is not None and not (joined or single or file):
        return profile.candidate_labels
    if sum([bool(joined), bool(single), file is not None]) != 1:
        raise InvalidInput("Name the labels in one way: --labels a,b,c, or --label for each, or --labels-file FILE.")
    if joined:
        return parse_labels(joined, "--labels")
    if file is None:
        return parse_labels(list(single), "--label")
    rows = [line.partition("\t") for line in read_lines(file)]
    parse_labels([name.strip() for name, _, _ in rows], str(file))
    return parse_labels({name.strip(): wording.strip() or name.strip() for name, _, wording in rows}, str(file))


def _results(model: str, question: _Question, records: Iterable[Record], profile: Profile | None) -> Results:
    """Each record with its classification, in order; None for a blank text."""
    from zerostart.bootstrap.classifier import build_classifier

    classifier = build_classifier(load_settings(), model, profile=profile)
    waiting: deque[Record] = deque()

    def requests() -> Iterator[ClassificationRequest]:
        texts_at_a_time = max(1, _PAIRS_AT_A_TIME // len(question.labels))
        for chunk in _chunks(records, texts_at_a_time):
            waiting.extend(chunk)
            if texts := [record.text for record in chunk if record.text.strip()]:
                yield question.about([check_text(text, "text") for text in texts])

    try:
        for answers in classifier.classify_each(requests()):
            for answer in answers:
                while not waiting[0].text.strip():
                    yield waiting.popleft(), None
                yield waiting.popleft(), answer
        while waiting:
            yield waiting.popleft(), None
    finally:
        classifier.close()


def _chunks(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    iterator = iter(records)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _classify_file(model: str, question: _Question, source: TextFile, output: Path, profile: Profile | None) -> None:
    """Read the file once to check it and count, and once more to classify it behind a progress bar."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from zerostart.cli.progress import TextsPerSecondColumn

    total = None if source.path == STANDARD_INPUT else sum(1 for _ in source.records())
    console = Console(stderr=True)
    columns = (TextColumn("classifying"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    blank = done = 0
    with Progress(*columns, TextsPerSecondColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=total)
        with writer(output, source, [label.name for label in question.labels], profile) as write:
            for record, result in _results(model, question, source.records(), profile):
                write(record, result)
                done += 1
                blank += result is None
                progress.advance(task)
    note = f" ({blank} had no text and got no label)" if blank else ""
    console.print(f"{done} texts{note}: {output}", highlight=False, soft_wrap=True, markup=False)


def _print(results: Results, output_format: Format) -> None:
    if output_format is Format.JSON:
        for record, result in results:
            typer.echo(json.dumps(document(record, result), ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("text", "label", "score", "", show_lines=True, title_justify="left")
    table.columns[0].ratio = 1
    for record, result in results:
        pairs = [] if result is None else list(zip(result.labels, result.scores, strict=True))
        names = Text("\n".join(_named(name, result) for name, _ in pairs) or "(no text)")
        scores = "\n".join(f"{score:.3f}" for _, score in pairs)
        bars = Text("\n".join("█" * round(score * _BAR_WIDTH) for _, score in pairs), style="green")
        table.add_row(Text(record.text), names, scores, bars)
    Console().print(table)


def _named(name: str, result: Classification | None) -> str:
    """A label, with what a profile says of it."""
    if result is not None and result.unsure and name == result.labels[0]:
        return f"{name} (unsure)"
    return f"✓ {name}" if result is not None and name in (result.chosen or ()) else name
