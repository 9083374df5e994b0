"""LangChain's runnable of the Decisions API."""

import asyncio
import json

from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai.decisions import Choice, OpenAIDecisions, Predicate, Score

TEXT = "The payment for my order was taken twice, and nobody answers my emails."
decisions = OpenAIDecisions(model="site")
questions = {
    "team": Choice(
        instructions="Which team should handle this?",
        choices={"billing": "It is about payments.", "technical": "It is about a defect.", "other": None},
    ),
    "complaint": Choice(instructions="Is it a complaint?", choices={True: None, False: None}),
    "angry": Predicate(instructions="The customer is angry."),
    "urgency": Score(instructions="How urgent is it?", levels=["low", "medium", "high"]),
}
answered = decisions.invoke({"input": TEXT, "questions": questions})
conversation = [HumanMessage(TEXT), AIMessage("I am sorry. When was the second payment?"), HumanMessage("On Monday.")]
image = HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}])
found = {
    "answered": answered.model_dump(),
    "message": decisions.invoke({"input": [HumanMessage(TEXT)], "questions": questions}) == answered,
    "async": asyncio.run(decisions.ainvoke({"input": TEXT, "questions": questions})).answers == answered.answers,
    "batch": [each.choices["team"].choice for each in decisions.batch([{"input": TEXT, "questions": questions}] * 3)],
    "conversation": decisions.invoke({"input": conversation, "questions": questions}).choices["team"].choice,
    "state": sorted(decisions.invoke({"input": {"ticket": {"text": TEXT}}, "questions": questions}).answers),
    "refusals": sorted(decisions.invoke({"input": [image], "questions": questions}).refusals),
    "request_id": bool(answered.request_id),
}
found["message"] = decisions.invoke({"input": [HumanMessage(TEXT)], "questions": questions}).answers == answered.answers
print(json.dumps(found, default=str))  # noqa: T201
