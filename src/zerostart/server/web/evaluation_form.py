"""The form of a new evaluation: what it is filled with, and what it asks for."""

from collections.abc import Mapping, Sequence

from zerostart.errors import InvalidField, InvalidInput, shortened
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate
from zerostart.server.web.evaluate_contexts import EvaluationForm
from zerostart.server.web.forms import whole_number
from zerostart.services.evaluation_request import ENDPOINT, MODEL, EvaluationRequest

MOST_LABEL_FIELDS = 200
_LABEL, _WORDING = "label-", "wording-"


def who_of(request: EvaluationRequest) -> str:
    """Who answers, as the form has it: `endpoint/NAME` or `model/ID`."""
    return f"{request.kind}/{request.name}"


def filled(request: EvaluationRequest | None, who: str) -> EvaluationForm:
    """The form as it is proposed, or as it was when the evaluation was last started."""
    if request is None:
        return EvaluationForm(who, template=DEFAULT_HYPOTHESIS_TEMPLATE)
    return EvaluationForm(
        who=who or who_of(request),
        text_column=request.text_column,
        label_column=request.label_column,
        separator=request.separator,
        multi_label=request.multi_label,
        descriptions={name: text for name, text in request.labels.items() if text != name},
        more_labels="\n".join(request.labels),
        template=request.template,
        scorer=request.scorer,
        limit="" if request.limit is None else str(request.limit),
        tunes=request.tunes,
        templates="\n".join(request.templates),
        wordings="\n".join(f"{name} = {each}" for name, own in request.wordings.items() for each in own),
        precision="" if request.precision is None else f"{request.precision:g}",
        accuracy="" if request.accuracy is None else f"{request.accuracy:g}",
        other=f"{request.other_kind}/{request.other_name}" if request.compares else "",
        other_template=request.other_template,
    )


def typed(form: Mapping[str, str]) -> EvaluationForm:
    """The form as it was sent."""
    texts = ("who", "text_column", "label_column", "separator", "more_labels", "template", "scorer", "limit")
    tuning = ("templates", "wordings", "precision", "accuracy", "other", "other_template")
    return EvaluationForm(
        **{name: form.get(name, "") for name in (*texts, *tuning)},
        multi_label="multi_label" in form,
        descriptions={name: text for name, text in _described(form) if text},
        tunes="tunes" in form,
    )


def columns_of(form: EvaluationForm, file_name: str) -> EvaluationRequest:
    """As much of it as says what is where in the file."""
    return EvaluationRequest(
        file_name=file_name,
        text_column=form.text_column,
        label_column=form.label_column,
        separator=form.separator,
        multi_label=form.multi_label,
    )


def request_of(form: Mapping[str, str], file_name: str) -> EvaluationRequest:
    """What the form asks for. Raises InvalidField."""
    asked = typed(form)
    kind, name = _who(asked.who, "who")
    other_kind, other_name = _who(asked.other, "other") if asked.other else ("", "")
    if asked.other and asked.tunes:
        raise InvalidField("other", "Tune, or compare: one of the two at a time.")
    template = _template(asked.template.strip() or DEFAULT_HYPOTHESIS_TEMPLATE, "template")
    other_template = _template(asked.other_template.strip() or template, "other_template") if asked.other else ""
    if (kind, name, template) == (other_kind, other_name, other_template):
        raise InvalidField("other", "Both are the same: choose another one, or another hypothesis for it.")
    return EvaluationRequest(
        file_name=file_name,
        kind=kind,
        name=name,
        text_column=asked.text_column,
        label_column=asked.label_column,
        separator=asked.separator,
        multi_label=asked.multi_label,
        labels=_labels(form, asked),
        template=template,
        other_kind=other_kind,
        other_name=other_name,
        other_template=other_template,
        scorer=asked.scorer,
        limit=_limit(form),
        tunes=asked.tunes,
        templates=[_template(line, "templates") for line in _lines(asked.templates)] if asked.tunes else (),
        wordings=_wordings(asked.wordings) if asked.tunes else {},
        precision=_share(asked.precision, "precision") if asked.tunes else None,
        accuracy=_share(asked.accuracy, "accuracy") if asked.tunes else None,
    )


def _who(value: str, field: str) -> tuple[str, str]:
    """Kind and name. Raises InvalidField."""
    kind, _, name = value.partition("/")
    if kind not in {MODEL, ENDPOINT} or not name:
        raise InvalidField(field, "Choose who answers: an endpoint, or a model of this machine.")
    return kind, name


def _described(form: Mapping[str, str]) -> list[tuple[str, str]]:
    """The labels of the form with what is typed beside each."""
    numbers = sorted(int(name.removeprefix(_LABEL)) for name in form if name.removeprefix(_LABEL).isdecimal())
    return [(form[f"{_LABEL}{number}"], form.get(f"{_WORDING}{number}", "").strip()) for number in numbers]


def _labels(form: Mapping[str, str], asked: EvaluationForm) -> dict[str, str]:
    """All that may be answered, where that is not just what the file has."""
    of_file = _described(form)
    more = [name for name in _lines(asked.more_labels) if name not in dict(of_file)]
    if not more and not any(text for _, text in of_file):
        return {}
    return {name: text or name for name, text in of_file} | {name: name for name in more}


def _limit(form: Mapping[str, str]) -> int | None:
    if not form.get("limit", "").strip():
        return None
    limit = whole_number(form, "limit", "The number of rows")
    if limit < 1:
        raise InvalidField("limit", f"{limit} rows tell nothing: take at least 1, or leave it empty for all.")
    return limit


def _template(text: str, field: str) -> str:
    try:
        return HypothesisTemplate(text).text
    except InvalidInput as error:
        raise InvalidField(
            field, f"{shortened(text)} is no hypothesis: write {{}} exactly once, where the label goes."
        ) from error


def _wordings(text: str) -> dict[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for line in _lines(text):
        name, equals, wording = (part.strip() for part in line.partition("="))
        if not (name and equals and wording):
            raise InvalidField(
                "wordings", f"{shortened(line)} is no wording: write one a line, like travel = journeys."
            )
        found.setdefault(name, []).append(wording)
    return dict(found)


def _share(text: str, field: str) -> float | None:
    """A share, also written in percent."""
    written = text.strip().removesuffix("%").strip()
    if not written:
        return None
    try:
        value = float(written.replace(",", "."))
    except ValueError:
        value = 0.0
    share = value / 100 if text.strip().endswith("%") or 1 < value < 100 else value
    if not 0 < share < 1:
        raise InvalidField(field, f"{shortened(text.strip())} is no share: write one between 0 and 1, such as 0.9.")
    return share


def _lines(text: str) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
