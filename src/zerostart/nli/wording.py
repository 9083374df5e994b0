"""From a question to hypotheses, the statements that an NLI model judges: a small set of rules."""

from zerostart.nli.question import Question


def hypotheses(question: Question) -> tuple[str, ...]:
    """One statement for each option, in order; of a predicate one, which says that it holds."""
    if question.kind == "predicate":
        return (question.instructions,)
    return tuple(f"This example is {option.description or option.name}." for option in question.options)
