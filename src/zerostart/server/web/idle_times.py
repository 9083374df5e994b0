"""The times after which an idle endpoint stops its instances, as the deploy form offers them."""

from zerostart.server.web.contexts import Choice
from zerostart.server.web.formats import span_shown

_TIMES_S = (300, 900, 1800, 3600, 14_400, 86_400)


def idle_times(usual_s: float, chosen: str) -> list[Choice]:
    """This server's usual time first; then others, never, and what was typed by hand."""
    usual = f"{span_shown(usual_s)} (usual here)" if usual_s else "never (usual here)"
    offered = [Choice(str(time_s), span_shown(time_s)) for time_s in _TIMES_S if time_s != usual_s]
    choices = [Choice("", usual), *offered, *([Choice("0", "never")] if usual_s else [])]
    return choices if chosen in {each.value for each in choices} else [*choices, Choice(chosen, chosen[:60])]
