"""What the built-in models are trained on: which sets, how much of each, and how a labelled text becomes pairs.

Left out for their licences (named non-commercial or for research alone in the index of the data): sick, rte, cb,
semiauto_nli (premises of the LDC), airline_tweets, financial_phrasebank, atis, subjectivity, trec, amazon_stars,
yelp_stars, customer_reviews, econ_news_sentiment, sst2, sst5, cap_sotu, manifesto_*, reuters31. Sets with `held_out`
are never opened here.
"""

import gzip
import json
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

CLASSES = ("entailment", "neutral", "contradiction")
NOT_ENTAILMENT = 3  # neutral or contradiction: the set does not say which
# Rows of each that are taken in one epoch; the templated and noisy ones least.
NLI_ROWS = {
    "lingnli.train": 44_939,
    "snli.train_20k": 19_999,
    "mnli.train_10k": 9_888,
    "mnli.train_3k": 2_920,
    "snli.dev": 9_840,
    "cf_snli.train": 9_024,
    "mpe.train": 8_995,
    "climate_fever.train": 5_000,
    "dnc_sentiment.train": 6_000,
    "dnc_relations.train": 2_762,
    "dnc_verbnet.train": 1_689,
    "dnc_function_words.train": 1_484,
    "joci.train": 5_000,
    "conjnli.train": 3_000,
    "levyholt.train": 3_000,
    "med.train": 2_500,
    "help.train": 2_000,
    "dnc_megaveridicality.train": 1_500,
    "dnc_factuality.train": 1_500,
}
# Sentences that people wrote to be judged, with their judgements: what MultiNLI and SNLI are made of.
WRITTEN = ("lingnli.train", "snli.train_20k", "mnli.train_10k", "mnli.train_3k", "snli.dev", "cf_snli.train")
# Those of many genres, of which there are few.
GENRES = ("mnli.train_10k", "mnli.train_3k")
# Texts of each that are taken in one epoch.
LABELLED_ROWS = {
    "huffpost": 12_000,
    "clinc150": 6_000,
    "clinc_domain": 4_000,
    "go_emotions": 8_000,
    "stackoverflow": 3_000,
    "snips": 2_000,
    "pros_cons": 2_500,
    "tweet_sentiment": 2_000,
    "tweet_offensive": 1_500,
    "tweet_hate": 1_500,
    "tweet_irony": 1_000,
    "tweet_stance": 1_500,
    "davidson_hate": 1_500,
    "sms_spam": 1_000,
    "disaster_tweets": 1_500,
    "corporate_messaging": 1_000,
}
# Never trained on: what is chosen (weights of the hybrid, averages, temperatures) is chosen by these.
CHOICE_SETS = ("20newsgroups", "hwu64", "hwu64_scenario", "tweet_emotion")
TEMPLATES = (
    "This example is {}.",
    "This text is about {}.",
    "The topic of this text is {}.",
    "It is about {}.",
    "This is {}.",
    "{}.",
    "{}",
)


@dataclass(frozen=True)
class LabelledText:
    """A text with its right labels, among those of its set."""

    text: str
    right: frozenset[str]


@dataclass(frozen=True)
class LabelledSet:
    """Texts, all labels of the set, and the hypothesis template that suits it."""

    name: str
    texts: list[LabelledText]
    labels: tuple[str, ...]
    template: str

    def hypothesis(self, label: str, chosen: random.Random) -> str:
        """In the template of the set, half of the time in one of the general ones."""
        template = self.template if chosen.random() < 0.5 else chosen.choice(TEMPLATES)
        return template.format(label)


@dataclass(frozen=True)
class Pair:
    """Premise, hypothesis and class: an index of CLASSES, or NOT_ENTAILMENT. Pairs of one `group` are one text's."""

    premise: str
    hypothesis: str
    label: int
    group: int = -1


def labelled_set(folder: Path, name: str, split: str = "train") -> LabelledSet:
    """A set of `folder`/cls. Raises ValueError for a set that is held out, if it is to be trained on."""
    described = json.loads((folder / "cls" / "LABELS.json").read_text("utf-8"))[name]
    if described["held_out"]:
        raise ValueError(f"{name} is held out: it is not to be trained on or chosen by.")
    texts = [
        LabelledText(row["text"], frozenset(row.get("labels") or [row["label"]]))
        for row in _rows(folder / "cls" / f"{name}.{split}.jsonl.gz")
    ]
    return LabelledSet(name, texts, tuple(described["labels"]), described["template"])


def nli_pairs(folder: Path, chosen: random.Random, share: float = 1.0, names: Collection[str] = NLI_ROWS) -> list[Pair]:
    """A share of the NLI pairs of one epoch. Half of the hypotheses that lack the final full stop get one."""
    pairs = []
    for name in names:
        count = NLI_ROWS[name]
        rows = list(_rows(folder / "nli" / f"{name}.jsonl.gz"))
        for row in chosen.sample(rows, min(int(share * count), len(rows))):
            label = CLASSES.index(row["label"]) if row["label"] in CLASSES else NOT_ENTAILMENT
            hypothesis = row["hypothesis"]
            if hypothesis[-1:].isalnum() and chosen.random() < 0.5:
                hypothesis += "."
            pairs.append(Pair(row["premise"], hypothesis, label))
    return pairs


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
