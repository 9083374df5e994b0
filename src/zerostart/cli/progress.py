"""A column of a progress bar that rich does not have."""

from rich.progress import ProgressColumn, Task
from rich.text import Text


class TextsPerSecondColumn(ProgressColumn):
    """How fast it goes."""

    def render(self, task: Task) -> Text:
        """For example 41.3 texts/s."""
        speed = task.finished_speed or task.speed
        return Text("- texts/s" if speed is None else f"{speed:.1f} texts/s")
