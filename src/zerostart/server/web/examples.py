"""Texts to try a model with, in the languages that models of the hub know."""

# ruff: noqa: RUF001 - Turkish has a dotless i

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TextExample:
    """A text, and labels for it."""

    title: str
    text: str
    labels: Sequence[str]


_ENGLISH = (
    TextExample(
        "A support message",
        "My card was charged twice for the same hotel night.",
        ("billing", "booking", "complaint", "praise"),
    ),
    TextExample(
        "A headline",
        "The central bank raised interest rates by a quarter of a point.",
        ("economy", "sport", "travel", "health"),
    ),
    TextExample(
        "A resolution",
        "I want to quit smoking and sleep eight hours a night.",
        ("health", "career", "travel", "money"),
    ),
)
_OTHERS: Mapping[str, Sequence[TextExample]] = {
    "es": (
        TextExample(
            "Un titular",
            "El delantero marcó dos goles en los últimos diez minutos de la final.",
            ("deporte", "economía", "salud", "viajes"),
        ),
        TextExample(
            "Un mensaje",
            "Me cobraron dos veces la misma noche de hotel.",
            ("factura", "reserva", "queja", "elogio"),
        ),
    ),
    "tr": (
        TextExample(
            "Bir haber başlığı",
            "Merkez Bankası faiz oranlarını çeyrek puan artırdı.",
            ("ekonomi", "spor", "sağlık", "seyahat"),
        ),
        TextExample(
            "Bir mesaj",
            "Kartımdan aynı otel gecesi için iki kez para çekildi.",
            ("fatura", "rezervasyon", "şikayet", "övgü"),
        ),
    ),
    "it": (
        TextExample(
            "Un titolo",
            "La banca centrale ha alzato i tassi di un quarto di punto.",
            ("economia", "sport", "salute", "viaggi"),
        ),
        TextExample(
            "Un messaggio",
            "Mi hanno addebitato due volte la stessa notte in albergo.",
            ("fattura", "prenotazione", "reclamo", "lode"),
        ),
    ),
}
_MOST = 3


def examples_for(languages: Sequence[str]) -> Sequence[TextExample]:
    """Texts in languages of a model: its own first if it knows no English, else English ones."""
    own = [example for code in languages for example in _OTHERS.get(code, ())]
    chosen = [*_ENGLISH[:2], *own[:1], *_ENGLISH[2:]] if "en" in languages or not own else own
    return chosen[:_MOST]
