"""How an object begins, as a page shows it."""

from zerostart.server.web.bucket_contexts import Preview, TableRow
from zerostart.server.web.formats import cell_shown
from zerostart.transform.sample import PLAIN, Sample

MOST_ROWS = 20
_MOST_COLUMNS = 30
_MOST_LINE_CHARACTERS = 1000


def preview_of(sample: Sample) -> Preview:
    """A table where there are columns, else text, else a word on why nothing is shown."""
    if sample.content_type is None:
        return Preview(note="This is not text, so there is nothing to show here. Download it.")
    if sample.problem is not None:
        return Preview(note=sample.problem)
    if sample.content_type == PLAIN:
        text = "\n".join(line[:_MOST_LINE_CHARACTERS] for line in sample.text.split("\n"))
        return Preview(text=text, note="" if text else "It is empty.") if sample.is_whole else _cut(Preview(text=text))
    columns = sample.columns[:_MOST_COLUMNS]
    rows = [
        TableRow([cell_shown(row.values.get(name)) for name in columns] if row.error is None else (), row.error)
        for row in sample.rows
    ]
    shown = Preview([name or "(no name)" for name in columns], rows)
    if not rows:
        return Preview(shown.columns, note="It has no rows." if columns else "It is empty.")
    return shown if sample.is_whole and len(sample.columns) <= _MOST_COLUMNS else _cut(shown)


def _cut(preview: Preview) -> Preview:
    return Preview(preview.columns, preview.rows, preview.text, "It goes on: this is its beginning.")
