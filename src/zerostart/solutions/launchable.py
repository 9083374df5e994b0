"""The solutions that there are."""

from zerostart.errors import NotFound, shortened
from zerostart.solutions.solution import Solution
from zerostart.solutions.zero_shot_text_classification.definition import SOLUTION

SOLUTIONS = (SOLUTION,)


def solution_of(name: str) -> Solution:
    """The solution of that name. Raises NotFound."""
    for solution in SOLUTIONS:
        if solution.name == name:
            return solution
    raise NotFound(f"There is no solution {shortened(name)}: choose {', '.join(each.name for each in SOLUTIONS)}.")
