"""WordNet 3.0 as labelled texts: a definition is the text, the kinds of things that it defines are its labels.

WordNet names four thousand kinds of things, where labelled sets name some hundred: people, places, plants, dishes.
Its licence allows any use. The files are those of Debian's package wordnet-base (Miller 1995,
https://doi.org/10.1145/219717.219748; their format is described in wndb(5WN)).
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.corpus import NOT_ENTAILMENT, TEMPLATES, Pair

FOLDER = Path("/usr/share/wordnet")
# Kinds with fewer definitions say little, those with more hold nearly everything ("object", "abstraction").
_FEWEST, _MOST = 8, 4000
_TAXA = {"genus", "family", "order", "class", "taxonomic group"}  # "type genus of the Laniidae": an eighth of all
_WRONG_DRAWS = 40


@dataclass(frozen=True)
class Definition:
    """A name, its meaning, the kinds of things that it is (nearest first), the number of its lexicographer file."""

    name: str
    meaning: str
    kinds: tuple[str, ...]
    file: str

    def text(self, chosen: random.Random) -> str:
        """Two of three times with the name."""
        form = chosen.choice(("{name}: {meaning}", "{name} is {meaning}.", "{meaning}"))
        return form.format(name=self.name, meaning=self.meaning)


def definitions(folder: Path | None = None) -> list[Definition]:
    """Nouns that are of a kind with 8 to 4,000 definitions, in the order of the file. Raises FileNotFoundError."""
    folder = folder or FOLDER
    if not (folder / "data.noun").exists():
        raise FileNotFoundError(f"There is no {folder}/data.noun: apt-get install wordnet-base, or name its folder.")
    names: dict[str, str] = {}
    meanings: dict[str, str] = {}
    files: dict[str, str] = {}
    above: dict[str, list[str]] = {}
    for line in (folder / "data.noun").read_text("ascii").splitlines():
        if line.startswith("  "):
            continue  # the licence
        fields, _, gloss = line.partition(" | ")
        own, file, _, count, *rest = fields.split()
        words = [word.replace("_", " ") for word in rest[: 2 * int(count, 16) : 2]]
        pointers = rest[2 * int(count, 16) + 1 :]
        names[own] = words[-1] if words[-1][:1].isupper() else words[0]
        meanings[own] = gloss.split('; "')[0].strip()
        files[own] = file
        marks = zip(pointers[::4], pointers[1::4], pointers[2::4], strict=False)
        above[own] = [target for mark, target, part in marks if part == "n" and mark in ("@", "@i", ";c")]
    ancestors = {own: _ancestors(own, above) for own in names}
    sizes = Counter(kind for kinds in ancestors.values() for kind in kinds)
    found = []
    for own, kinds in ancestors.items():
        useful = [names[kind] for kind in kinds if _FEWEST <= sizes[kind] <= _MOST]
        if useful and not _TAXA.intersection(useful):
            found.append(Definition(names[own], meanings[own], tuple(dict.fromkeys(useful)), files[own]))
    return found


def _ancestors(own: str, above: dict[str, list[str]]) -> list[str]:
    found, level = [], above[own]
    while level:
        found += [each for each in level if each not in found]
        level = [each for below in level for each in above[below] if each not in found]
    return found


def by_file(found: Sequence[Definition]) -> list[list[Definition]]:
    """Those of each lexicographer file: people, plants, acts, dishes and so on."""
    groups: dict[str, list[Definition]] = {}
    for each in found:
        groups.setdefault(each.file, []).append(each)
    return list(groups.values())


def definition_pairs(
    found: Sequence[Definition], chosen: random.Random, *, count: int, wrong: int, first: int
) -> list[Pair]:
    """`count` definitions as pairs: one kind of each, and `wrong` kinds of others in its file; groups from `first`."""
    alike = {group[0].file: group for group in by_file(found)}
    pairs = []
    for group, each in enumerate(chosen.sample(found, count), first):
        others: list[str] = []
        for other in chosen.choices(alike[each.file], k=_WRONG_DRAWS):
            kind = chosen.choice(other.kinds)
            if len(others) < wrong and kind not in each.kinds and kind not in others and kind != each.name:
                others.append(kind)
        template = chosen.choice(TEMPLATES)
        text = each.text(chosen)
        pairs.append(Pair(text, template.format(chosen.choice(each.kinds)), 0, group))
        pairs += [Pair(text, template.format(kind), NOT_ENTAILMENT, group) for kind in others]
    return pairs
