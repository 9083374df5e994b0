"""Use cases of decisions: which endpoint answers for a model, and questions about a text to it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from zerostart.credentials import AccessKey
from zerostart.errors import (
    BodyTooLarge,
    EngineFailure,
    InvalidInput,
    InvocationTimeout,
    NoInstance,
    UnknownModel,
    shortened,
)
from zerostart.hosting.launcher import InstanceReply
from zerostart.hosting.router import Router
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import Endpoint, EndpointStatus, all_endpoints
from zerostart.models.catalogue import entry_of, names_of
from zerostart.nli.question import Answer, Question
from zerostart.services.arn import Arns
from zerostart.services.authorisation import authorise, may
from zerostart.services.invocation import Invocation, InvocationService
from zerostart.serving.questions import QUESTIONS, decode_answers, encode_questions

_ACTION = "sagemaker:InvokeEndpoint"
_JSON = "application/json"
# Those in service come first.
_ANSWERING = (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.SYSTEM_UPDATING)
_LISTED = 20


@dataclass(frozen=True)
class Decisions:
    """One answer a question, in order. `input_tokens` are those of every pair of text and hypothesis that was read.

    `model_id` is the model that answered; `model_latency_s` is the time that the instance of `variant` took.
    """

    model_id: str
    answers: tuple[Answer, ...]
    input_tokens: int
    variant: str
    model_latency_s: float


@dataclass(frozen=True)
class DecisionModel:
    """A name that questions can be put to: an endpoint's, or a model's that is deployed on one."""

    name: str
    description: str
    created_at: datetime


class DecisionService:
    """Questions go to an endpoint as one invocation. `max_pairs` is the most that an instance takes in one."""

    def __init__(
        self, invocations: InvocationService, router: Router, database: Database, arns: Arns, max_pairs: int
    ) -> None:
        self._invocations = invocations
        self._router = router
        self._database = database
        self._arns = arns
        self._max_pairs = max_pairs

    def is_endpoint(self, name: str) -> bool:
        """Whether an endpoint of that name can be asked, or woken; looks at no database."""
        return bool(self._router.variants(name))

    def endpoint_of(self, model: str, caller: AccessKey) -> str:
        """The endpoint that answers for `model`: that of this name, or else the first, by name, that serves this model.

        Raises UnknownModel saying what there is, AccessDenied for an endpoint that the caller may not ask, and
        NoInstance for one that is not ready yet.
        """
        if self.is_endpoint(model):
            authorise(caller, _ACTION, self._arns.of("endpoint", model))
            return model
        endpoints = self._endpoints()
        if named := [each for each in endpoints if each.name == model]:
            authorise(caller, _ACTION, self._arns.of("endpoint", model))
            raise NoInstance(f"Endpoint {model} is {named[0].status}: ask again when it is InService.")
        names = set(names_of(model))
        for endpoint in self._askable(endpoints, caller):
            if {variant.model_id for variant in endpoint.variants} <= names:
                return endpoint.name
        raise UnknownModel(self._unknown(model, caller))

    def models(self, caller: AccessKey) -> Sequence[DecisionModel]:
        """What the caller can ask: the endpoints by name, then the models that they serve."""
        endpoints = sorted(self._askable(self._endpoints(), caller), key=lambda each: each.name)
        found = {each.name: DecisionModel(each.name, _described(each), each.created_at) for each in endpoints}
        for endpoint in endpoints:
            served = {variant.model_id for variant in endpoint.variants}
            if len(served) == 1 and (model_id := served.pop()) not in found:
                entry = entry_of(model_id)
                text = entry.description if entry else f"A model of your own, on endpoint {endpoint.name}."
                found[model_id] = DecisionModel(model_id, text, endpoint.created_at)
        return list(found.values())

    def model(self, name: str, caller: AccessKey) -> DecisionModel:
        """One of them. Raises UnknownModel."""
        for each in self.models(caller):
            if name == each.name:
                return each
        raise UnknownModel(self._unknown(name, caller))

    async def decide(self, endpoint: str, text: str, questions: Sequence[Question]) -> Decisions:
        """The answers of an endpoint; one that sleeps is woken.

        Raises BodyTooLarge for more pairs than an instance takes, InvalidInput with the instance's words,
        EngineFailure, and what an invocation raises (InvocationTimeout says what to ask less of).
        """
        self._check_pairs(sum(question.pairs for question in questions))
        body = encode_questions(text, questions)
        try:
            result = await self._invocations.invoke(Invocation(endpoint, body, QUESTIONS, _JSON))
        except InvocationTimeout as error:
            raise InvocationTimeout(
                f"Endpoint {endpoint} did not answer {len(questions)} questions in the time of an invocation (setting "
                "invocation_timeout_s): ask fewer at a time, or with fewer options, or of a shorter input."
            ) from error
        if result.reply.status >= 400:
            raise _refusal(result.reply)
        model_id, answers, tokens = decode_answers(result.reply.body, questions)
        return Decisions(model_id, answers, tokens, result.variant, result.model_latency_s)

    def _check_pairs(self, pairs: int) -> None:
        if pairs > self._max_pairs:
            raise BodyTooLarge(
                f"The questions make {pairs} pairs of the input and an option; the limit is {self._max_pairs} (setting "
                "max_queued_pairs): ask fewer questions at a time, or with fewer options."
            )

    def _endpoints(self) -> list[Endpoint]:
        with self._database.transaction() as connection:
            return all_endpoints(connection)

    def _askable(self, endpoints: Sequence[Endpoint], caller: AccessKey) -> list[Endpoint]:
        """Those that answer and that the caller may ask, in service first, then by name."""
        answering = [each for each in endpoints if each.status in _ANSWERING]
        allowed = [each for each in answering if may(caller, _ACTION, self._arns.of("endpoint", each.name))]
        return sorted(allowed, key=lambda each: (_ANSWERING.index(each.status) > 0, each.name))

    def _unknown(self, model: str, caller: AccessKey) -> str:
        names = [each.name for each in self.models(caller)]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        there = f"There are: {', '.join(names[:_LISTED])}{more}." if names else "Nothing is deployed that you may ask."
        return (
            f"The model {shortened(model)} is neither an endpoint nor a model that is deployed on one. {there} "
            "To deploy one: zerostart deploy MODEL_ID --endpoint-name NAME ('zerostart models list' shows the ids)."
        )


def _described(endpoint: Endpoint) -> str:
    served = ", ".join(dict.fromkeys(variant.model_id for variant in endpoint.variants))
    return f"Endpoint {endpoint.name}, which serves {served}."


def _refusal(reply: InstanceReply) -> Exception:
    try:
        message = str(json.loads(reply.body)["message"])
    except (ValueError, TypeError, KeyError):
        message = f"The instance answered {reply.status}."
    return InvalidInput(message) if reply.status < 500 else EngineFailure(message)
