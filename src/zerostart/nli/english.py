"""English questions and commands brought to statements: rules on words, without a parser.

A rule that does not know a sentence says None, so other languages pass through untouched.
"""

import re
from dataclasses import dataclass

# Stands for the answer in a statement; no text that people write holds it.
PLACE = "\0"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BE, _DO, _HAVE = _words("is are was were"), _words("does do did"), _words("has have had")
_AUXILIARIES = _BE | _DO | _HAVE | _words("can could will would should may might must")
_DETERMINERS = _words("a an the this that these those any some no its his her their our your my each every")
_OBJECTS = _words("anyone anybody anything someone somebody something it them him us me you")
_PRONOUNS = _OBJECTS | _words(
    "he she they we i there this that these those everyone everybody everything nobody nothing"
)
_PREPOSITIONS = _words(
    "in on at about for with to from under by as like into over before after during without within than if when that "
    "because since against towards"
)
_ADVERBS = _words(
    "not already still yet very too so really actually likely able just also more less being been currently"
)
_AFTER_SUBJECT = _DETERMINERS | _OBJECTS | _PREPOSITIONS | _ADVERBS
# What texts are asked about with, for where nothing else tells where the subject ends.
_VERBS = _words(
    "be have contain mention include want need show ask express describe concern report request require refer reveal "
    "indicate suggest seem sound feel look provide give offer make use discuss state say tell threaten attack insult "
    "promote violate handle go know agree disagree complain compare cover cite quote list name fail work own get take "
    "return match meet answer address follow explain sell buy pay send receive cause recommend encourage claim admit "
    "call come belong relate appear involve intend plan try exist apply qualify count deserve arrive reply "
    "comply imply rely supply"
)
_PARTICIPLES = _words("been had made sent got gone done said paid given taken lost found left told seen")

_SETTING = re.compile(
    r"(?i)(?:you|your|read|given|below|consider|here|do not|don't|never|answer|return|respond|reply|use|note|only|if)\b"
)
_CLAUSE = re.compile(
    r"(?i)(?:please )?(?:decide|determine|check|judge|assess|tell|verify|find out|evaluate|identify|answer|return|"
    r"respond|flag|predict|detect|see|confirm|estimate|indicate|output|state|say|true|yes|whether)\b"
    r"(?:(?: \w+,?){0,5}? (?:whether|if)|(?: \w+)? (?:that|when)|(?<=whether))(?: or not)? (?P<clause>.+)"
)
_IMPERATIVE = re.compile(
    r"(?i)(?:please )?(?:rate|score|grade|assess|judge|evaluate|estimate|classify|categori[sz]e|identify|determine|"
    r"decide|detect|predict|label|find out|find|give|choose|select|pick|name|state|measure|sort|tag|mark) (?P<what>.+)"
)
_ROUTING = re.compile(
    r"(?i)(?:please )?(?:route|forward|assign|send|direct|escalate|pass|hand|move) (?P<what>.+?) to .+"
)
_INDIRECT = re.compile(r"(?i)(?:please )?\w+ how \S+ (?P<subject>.+) (?P<verb>is|are)")
_KIND = re.compile(r"(?i)(?:what|which) (?:kind|type|sort|category) of (?P<noun>.+?) (?:is|are) (?:this|it|that|these)")
_WH = re.compile(
    r"(?i)(?:(?P<before>in|to|from|for|on|with|at) )?(?P<word>what|which|who|where|why|how)\b ?(?P<rest>.*)"
)
_ANY = re.compile(r"(?i)^any(?=one\b|body\b|thing\b|where\b)")
_SHORT_IS = re.compile(r"(?i)(?<=^what)'s\b|(?<=^who)'s\b")
_SCALE = re.compile(r"(?i)^on a scale (?:from|of) [^,]+, *|,? (?:on a scale|as one of|as|into|from \d) .*$")


@dataclass(frozen=True)
class Statement:
    """A statement in parts, as in "the message", "does", "mention a refund"."""

    subject: str
    auxiliary: str
    rest: str

    def __str__(self) -> str:
        """What it says: "the message mentions a refund"."""
        if self.auxiliary == "do":
            return f"{self.subject} {self.rest}"
        if self.auxiliary == "does":
            return f"{self.subject} {_third_person(self.rest)}"
        return f"{self.subject} {self.auxiliary} {self.rest}".rstrip()

    @property
    def denied(self) -> str:
        """The opposite."""
        return f"{self.subject} {self.auxiliary} not {self.rest}".rstrip()


def sentences(text: str) -> list[str]:
    """Sentences and lines: those that ask something first, without what only sets the scene where others are left."""
    parts = [" ".join(part.split()) for part in re.split(r"(?<=[.!?:])\s+|[\n\r]+", text.replace(PLACE, " "))]
    own = [part for part in parts if re.search(r"\w", part)]
    asking = [part for part in own if part.endswith("?")]
    return asking + [part for part in own if part not in asking and not _SETTING.match(part)] or own


def yes_no(sentence: str) -> Statement | None:
    """ "Is the customer angry?" as the statement that the answer "yes" makes; None for what is no such question."""
    first, _, after = _bare(sentence).partition(" ")
    auxiliary = first.lower().removesuffix("n't")
    words = [_ANY.sub("some", word) for word in after.split() if word.lower() not in {"any", "ever"}]
    if auxiliary not in _AUXILIARIES or not words:
        return None
    length = _subject_length([word.lower() for word in words], auxiliary)
    return Statement(" ".join(words[:length]), auxiliary, " ".join(words[length:]))


def clause(sentence: str) -> str | None:
    """What a command asks to decide: "the log shows an error", of "Check whether the log shows an error."."""
    found = _CLAUSE.fullmatch(_bare(sentence))
    return found["clause"] if found else None


def with_place(sentence: str) -> str | None:
    """What an answer says, with PLACE for it: "the tone is PLACE", of "What is the tone?" or "Rate the tone."."""
    sentence = _SCALE.sub("", _bare(sentence))
    if found := _KIND.fullmatch(sentence):
        return f"the {found['noun']} is {PLACE}"
    if found := _ROUTING.fullmatch(sentence):
        return f"{found['what']} should go to {PLACE}"
    if found := _INDIRECT.fullmatch(sentence):
        return f"{found['subject']} {found['verb']} {PLACE}"
    if (found := _IMPERATIVE.fullmatch(sentence)) and not clause(sentence):
        return f"{found['what']} is {PLACE}"
    if found := _WH.fullmatch(_SHORT_IS.sub(" is", sentence)):
        return _answered((found["before"] or "").lower(), found["word"].lower(), found["rest"].split())
    return None


def _answered(before: str, word: str, words: list[str]) -> str | None:
    """Of a question that begins with `word`; `words` are nouns, an auxiliary and what comes after, or some of these."""
    place = next((i for i, each in enumerate(words[:5]) if each.lower() in _AUXILIARIES), None)
    if place is None:
        return _without_auxiliary(word, words)
    nouns, auxiliary, after = words[:place], words[place].lower(), words[place + 1 :]
    statement = yes_no(" ".join([auxiliary, *after]))
    if statement is None:
        return None
    if word not in {"how", "why"} and auxiliary not in _DO and after[0].lower() not in _DETERMINERS | _PRONOUNS:
        return " ".join([*(["the", *nouns, "that"] if nouns else [word]), auxiliary, *after, "is", PLACE])
    if auxiliary in _BE and word == "how":
        subject = after[:1] if after[0].lower() == "it" else after
        return " ".join([*subject, auxiliary, PLACE, *after[len(subject) :]])
    if auxiliary in _BE and word != "why" and not nouns and not _is_verbal(statement.rest.split(" ")[0]):
        return f"{' '.join(after)} {auxiliary} {PLACE}"
    link = {"where": "" if auxiliary in _BE else " to", "why": ":"}.get(word, f" {before}" if before else "")
    return f"{statement}{link} {PLACE}"


def _without_auxiliary(word: str, words: list[str]) -> str | None:
    if not words or words[0].lower() == "of" or word == "how":
        return None
    if word in {"who", "what"}:
        return f"{PLACE} {' '.join(words)}"
    verb = next((i for i, each in enumerate(words) if i and (_is_verbal(each) or re.search("[^s]s$", each))), None)
    if verb is None:
        return f"the {' '.join(words)} is {PLACE}"
    return f"the {' '.join(words[:verb])} that {' '.join(words[verb:])} is {PLACE}"


def _bare(sentence: str) -> str:
    return sentence.strip().rstrip(" .!?:")


def _subject_length(words: list[str], auxiliary: str) -> int:
    """How many of `words`, in lower case, are the subject of a question that begins with `auxiliary`."""
    start = 1 if words[0] in _DETERMINERS else 0
    copula = auxiliary in _BE | _HAVE
    if words[0] in _PRONOUNS and (not start or len(words) < 3 or words[1] in _AFTER_SUBJECT):
        return 1
    if start and not copula and words[0] in _PRONOUNS and _verb_at(words, 1):
        return 1
    end = start + 1
    while end < len(words) and not (_ends_before(words, end, auxiliary) if copula else _verb_at(words, end)):
        end += _width(words, end)
    if end >= len(words):
        return max(len(words) - 1, start + 1) if copula else start + 1
    taken = _PREPOSITIONS if copula else _PREPOSITIONS | _DETERMINERS | _OBJECTS
    return max(end - 1, start + 1) if words[end] in taken - _VERBS else end


def _ends_before(words: list[str], place: int, auxiliary: str) -> bool:
    word = words[place]
    if word in _AFTER_SUBJECT or word.endswith(("ly", ",")):
        return True
    return _is_verbal(word) if auxiliary in _BE else _is_verbal(word) and not word.endswith("ing")


def _verb_at(words: list[str], place: int) -> bool:
    """Whether the subject has ended, at a verb or behind it; of two such words on end the first is a noun."""
    word = words[place]
    if word in _VERBS:
        return place + 1 >= len(words) or words[place + 1] not in _VERBS
    return word in _AFTER_SUBJECT or word.endswith("ly")


def _width(words: list[str], place: int) -> int:
    """How many words to go on by: "of the message" goes with the noun before it."""
    if words[place] not in {"of", "and", "or"}:
        return 1
    return 3 if place + 1 < len(words) and words[place + 1] in _DETERMINERS else 2


def _is_verbal(word: str) -> bool:
    return word.lower() in _PARTICIPLES or (word.endswith(("ed", "ing")) and len(word) > 4)


def _third_person(phrase: str) -> str:
    """ "mention a refund" -> "mentions a refund"."""
    words = phrase.split(" ")
    place = 1 if words[0].endswith("ly") and words[0] not in _VERBS and len(words) > 1 else 0
    verb = words[place]
    if verb in {"have", "be"}:
        words[place] = {"have": "has", "be": "is"}[verb]
    elif re.search(r"[^aeiou]y$", verb):
        words[place] = verb[:-1] + "ies"
    else:
        words[place] = verb + ("es" if re.search(r"(?:s|x|z|ch|sh|o)$", verb) else "s")
    return " ".join(words)
