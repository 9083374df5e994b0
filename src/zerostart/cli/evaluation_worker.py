"""zerostart evaluation-worker: what the server has done with a file of labelled texts, in a process of its own.

It reads a line of JSON and then a file on its standard input, and writes lines of JSON: how far it is, and at the end
what was found (`result`) or why nothing was (`refused`). It ends when its standard input does.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerostart.cli.own_process import (
    exit_with_parent_process,
    give_precedence,
    isolate_alone,
    isolate_for_models,
    return_freed_memory,
)
from zerostart.errors import ZerostartError
from zerostart.settings import Settings, load_settings

if TYPE_CHECKING:
    from zerostart.evaluation.rows import LabelledRows
    from zerostart.services.evaluation_request import EvaluationRequest

_TRIED = 5
_TIMED = 64
_TIMED_S = 4.0


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(hidden=True)(evaluation_worker)


def evaluation_worker(
    work: Annotated[str, typer.Argument(help="look, try or evaluate.")],
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no network and no files but the model's.")] = False,
) -> None:
    """Look through a file, try its first rows, or evaluate; the server starts these.

    Example: zerostart evaluation-worker look
    """
    asked = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read(asked["bytes"])
    settings = load_settings()
    if work == "evaluate":  # for the others somebody waits
        give_precedence()
    try:
        if isolated:
            _isolate(settings, asked["request"])
        exit_with_parent_process()
        return_freed_memory()
        from zerostart.logs import configure_logs

        configure_logs(settings.log_level)
        _say({"result": _WORKS[work](asked["request"], content)})
    except ZerostartError as error:
        _say({"refused": str(error)})


def _isolate(settings: Settings, request: Mapping[str, Any]) -> None:
    """Keep to the models that are asked; where it is a file that is looked at, to nothing."""
    named = [(request["kind"], request["name"]), (request["other_kind"], request["other_name"])]
    if models := [name for kind, name in named if kind == "model"]:
        isolate_for_models(settings, models)
    else:
        isolate_alone(settings)


def _look(request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    from zerostart.services.evaluation_request import EvaluationRequest
    from zerostart.services.labelled_look import look

    return asdict(look(EvaluationRequest(**request).file(content)))


def _try(request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    """The answers to the first rows, and from the speed of some more how long all of them will take."""
    from zerostart.cli.evaluation_runs import answerer
    from zerostart.evaluation.scoring import score
    from zerostart.evaluation.tuning import caution
    from zerostart.services.evaluation import check, texts_to_ask
    from zerostart.services.evaluation_request import EvaluationRequest

    asked = EvaluationRequest(**request)
    rows = asked.rows(content)
    question, wishes = asked.question(rows), asked.wishes(rows)
    check(rows, wishes)
    first, seconds, texts = None, 0.0, 0
    for each in (asked, asked.other) if asked.compares else (asked,):
        own = replace(question, template=each.question(rows).template)
        with answerer(*_who(each), None) as who:
            tried = score(who.ask, rows.texts[:_TRIED], own, _ignore)
            rate = _texts_per_s(partial(score, who.ask, question=own, progress=_ignore), rows.texts[_TRIED:])
        first = first or tried
        texts += texts_to_ask(rows, own, wishes)
        seconds += texts_to_ask(rows, own, wishes) / (rate or len(rows.texts[:_TRIED]) / max(tried.seconds, 1e-6))
    assert first is not None  # noqa: S101 - somebody is asked
    names = rows.names
    return {
        "first": [
            {
                "text": text[:2000],
                "right": [name for name, is_right in zip(names, right, strict=True) if is_right],
                "labels": [names[place] for place in scores.argsort()[::-1][:5]],
                "scores": sorted(map(float, scores), reverse=True)[:5],
            }
            for text, right, scores in zip(rows.texts[:_TRIED], rows.right[:_TRIED], first.scores, strict=True)
        ],
        "rows": len(rows),
        "labels": len(names),
        "names": names[:50],
        "multi_label": rows.multi_label,
        "left_out": dict(rows.left_out),
        "texts": texts,
        "texts_per_s": texts / seconds,
        "seconds": seconds,
        "notes": list(caution(rows)),
    }


def _texts_per_s(ask: Callable[[tuple[str, ...]], Any], texts: tuple[str, ...]) -> float | None:
    """How fast further texts are answered, as far as a few seconds tell; None where there are none."""
    done, started_s = 0, time.perf_counter()
    remaining = iter(texts[:_TIMED])
    while time.perf_counter() - started_s < _TIMED_S and (some := tuple(islice(remaining, 8))):
        ask(some)
        done += len(some)
    return done / max(time.perf_counter() - started_s, 1e-6) if done else None


def _evaluate(request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    from zerostart.cli.evaluation_runs import answerer, subject_of
    from zerostart.services.evaluation import evaluate, texts_to_ask
    from zerostart.services.evaluation_request import EvaluationRequest

    asked = EvaluationRequest(**request)
    rows = asked.rows(content)
    question, wishes = asked.question(rows), asked.wishes(rows)
    if asked.compares:
        return {"report": _compared(asked, rows), "profile": None}
    with answerer(*_who(asked), None) as who:
        _say({"total": texts_to_ask(rows, question, wishes)})
        subject = subject_of(Path(asked.file_name), who)
        found = evaluate(subject, rows, question, who.ask, lambda texts: _say({"done": texts}), wishes)
    return {"report": found.document, "profile": found.profile.document() if found.profile else None}


def _compared(asked: "EvaluationRequest", rows: "LabelledRows") -> dict[str, Any]:
    from zerostart.cli.evaluation_runs import answerer, subject_of
    from zerostart.services.evaluation import Side, compare

    _say({"total": 2 * len(rows)})
    with answerer(*_who(asked), None) as one, answerer(*_who(asked.other), None) as two:
        sides = [
            Side(f"{letter} ({who.shown})", who.ask, each.question(rows))
            for letter, who, each in zip("AB", (one, two), (asked, asked.other), strict=True)
        ]
        return compare(
            subject_of(Path(asked.file_name), one), rows, (sides[0], sides[1]), lambda texts: _say({"done": texts})
        )


def _who(asked: "EvaluationRequest") -> tuple[str, str]:
    """Model and endpoint: one of them is empty."""
    return (asked.name, "") if asked.kind == "model" else ("", asked.name)


def _ignore(_texts: int) -> None:
    """Nobody watches."""


def _say(document: Mapping[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=True, allow_nan=False), flush=True)  # noqa: T201


_WORKS: Mapping[str, Callable[[Mapping[str, Any], bytes], dict[str, Any]]] = {
    "look": _look,
    "try": _try,
    "evaluate": _evaluate,
}
