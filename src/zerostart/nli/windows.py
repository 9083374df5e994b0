"""What to do with a text that is longer than the model reads."""

from typing import Literal, get_args

LongText = Literal["truncate", "windows"]
LONG_TEXT_CHOICES: tuple[str, ...] = get_args(LongText)


def premise_windows(tokens: int, budget: int) -> list[slice]:
    """Slices of at most `budget` tokens that cover a premise of `tokens`, each overlapping the next by a quarter."""
    if tokens <= budget:
        return [slice(0, tokens)]
    step = max(1, budget - budget // 4)
    starts = range(0, tokens - budget + step, step)
    return [slice(min(start, tokens - budget), min(start, tokens - budget) + budget) for start in starts]
