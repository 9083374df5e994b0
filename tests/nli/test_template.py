import pytest

from zerostart.errors import InvalidInput
from zerostart.nli.template import HypothesisTemplate


def test_the_default_is_the_one_of_hugging_face() -> None:
    assert HypothesisTemplate().fill("travel") == "This example is travel."


@pytest.mark.parametrize(
    ("template", "label", "hypothesis"),
    [
        ("It is {{about}} {}.", "cooking", "It is {{about}} cooking."),
        ("Topic {0} {name}: {}", "sport", "Topic {0} {name}: sport"),
        ("About {}.", "{}", "About {}."),
        ("About {}.", "C++ {x!r:>10}", "About C++ {x!r:>10}."),
        ("{}", "\\1 %s $x", "\\1 %s $x"),
    ],
)
def test_the_label_is_substituted_literally(template: str, label: str, hypothesis: str) -> None:
    assert HypothesisTemplate(template).fill(label) == hypothesis


@pytest.mark.parametrize(("template", "places"), [("No place.", 0), ("{} and {}", 2), ("{ }", 0), ("{0}", 0), ("", 0)])
def test_a_template_has_exactly_one_place(template: str, places: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        HypothesisTemplate(template)
    assert repr(template) in caught.value.message
    assert f"{places} places" in caught.value.message
    assert "exactly once" in caught.value.message
