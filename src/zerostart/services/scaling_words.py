"""How autoscaling is said in words, by the command line and the pages."""

LAST_ACTIVITIES = 5


def scaling_words(least: int, most: int, target_value: float | None) -> str:
    """What a target and its policy do, as a predicate: "scales between ..."."""
    if target_value is None:
        return f"scales between {least} and {most} instances; without a policy it keeps its count in these bounds"
    return f"scales between {least} and {most} instances by {target_value:,g} invocations a minute each"
