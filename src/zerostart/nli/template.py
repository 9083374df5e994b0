"""The hypothesis template: a sentence with one place for the label."""

from dataclasses import dataclass

from zerostart.errors import InvalidInput, shortened

DEFAULT_HYPOTHESIS_TEMPLATE = "This example is {}."
_PLACE = "{}"


@dataclass(frozen=True)
class HypothesisTemplate:
    """A template that was checked: it holds `{}` exactly once."""

    text: str = DEFAULT_HYPOTHESIS_TEMPLATE

    def __post_init__(self) -> None:
        count = self.text.count(_PLACE)
        if count != 1:
            raise InvalidInput(
                f"'hypothesis_template' is {shortened(self.text)}, with {count} places for the label: "
                f"write {_PLACE} exactly once, as in {DEFAULT_HYPOTHESIS_TEMPLATE!r}."
            )

    def fill(self, label: str) -> str:
        """The hypothesis for `label`, substituted literally: braces in either text are only text."""
        return self.text.replace(_PLACE, label)
