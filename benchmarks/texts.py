"""Real texts, mixed in length or short, from the labelled sets beside the project; made ones where those are absent."""

import gzip
import json
import random
from pathlib import Path

LABELS = [
    *("politics", "sport", "business", "science and technology", "card payment"),
    *("money transfer", "movies", "religion", "cars", "computers"),
]
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cls"
_SETS = ("ag_news", "banking77", "sst5", "20newsgroups")
_SHORT_SETS = ("clinc150", "hwu64", "trec", "snips", "sst5")
_LONGEST = 900


def mixed_texts(count: int = 64, seed: int = 0) -> tuple[list[str], str]:
    """`count` texts, an equal share of each set, and where they come from."""
    chooser = random.Random(seed)  # noqa: S311 - picks examples
    if not _DATA.is_dir():
        words = ("match", "goal", "market", "engine", "price", "minister", "screen", "church", "refund", "server")
        lengths = [chooser.randint(5, 150) for _ in range(count)]
        return [" ".join(chooser.choices(words, k=length)) for length in lengths], "made texts"
    texts: list[str] = []
    for name in _SETS:
        with gzip.open(_DATA / f"{name}.test.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line)["text"][:_LONGEST] for line in file]
        texts += chooser.sample(rows, count // len(_SETS))
    return texts, f"{count // len(_SETS)} each of {', '.join(_SETS)}, cut at {_LONGEST} characters"


def labelled_texts(name: str, count: int) -> tuple[list[str], list[str], list[str], str]:
    """`count` texts of a set's test rows, the label of each, all labels, and the set's template."""
    if not _DATA.is_dir():
        raise SystemExit(f"{_DATA} is not there: this needs texts with labels.")
    described = json.loads((_DATA / "LABELS.json").read_text("utf-8"))[name]
    with gzip.open(_DATA / f"{name}.test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    chosen = random.Random(0).sample(rows, count)  # noqa: S311 - picks examples
    return [row["text"] for row in chosen], [row["label"] for row in chosen], described["labels"], described["template"]


def short_texts(count: int) -> tuple[list[str], str]:
    """`count` different short texts, and where they come from."""
    chooser = random.Random(0)  # noqa: S311 - picks examples
    if not _DATA.is_dir():
        made = mixed_texts(count)[0]
        return [f"{number} {text[:60]}" for number, text in enumerate(made)], "made texts"
    found: dict[str, None] = {}
    for path in (each for name in _SHORT_SETS for each in sorted(_DATA.glob(f"{name}.*.jsonl.gz"))):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found |= dict.fromkeys(json.loads(line)["text"] for line in file)
    texts = chooser.sample(list(found), count)
    mean = sum(map(len, texts)) / count
    return texts, f"{count} different ones of {', '.join(_SHORT_SETS)}, {mean:.0f} characters on average"
