"""Model cards as HTML: no markup of their own, no address but of the web, no picture from elsewhere, no style."""

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_LOWEST_HEADING = 6
_WEB = ("https://", "http://", "#")


def card_html(card: str) -> Markup:
    """The card, without the YAML that hubs put before it and without its own title."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = markdown.parse(_without_front_matter(card))
    return Markup(markdown.renderer.render(_tamed(_without_title(tokens)), markdown.options, {}))  # noqa: S704 - tamed


def _without_front_matter(card: str) -> str:
    if card.startswith("---\n") and (end := card.find("\n---\n", 4)) > 0:
        return card[end + 5 :]
    return card


def _without_title(tokens: list[Token]) -> list[Token]:
    """The page has the title already."""
    is_title = len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1"
    return tokens[3:] if is_title else tokens


def _tamed(tokens: Sequence[Token]) -> list[Token]:
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, _LOWEST_HEADING)}"
        if token.type == "table_open":
            token.attrSet("tabindex", "0")  # it scrolls where it is wider than the page
        token.attrs.pop("style", None)  # how tables align their columns, which our policy forbids
        token.children = _tamed_inline(token.children) if token.children else token.children
    return list(tokens)


def _tamed_inline(children: Sequence[Token]) -> list[Token]:
    tamed: list[Token] = []
    for child in children:
        if child.type == "link_open":
            if not str(child.attrs.get("href", "")).startswith(_WEB):
                child.attrs["href"] = "#model-card"
            child.attrs["rel"] = "noopener noreferrer nofollow"
        if child.type == "image":
            text = Token("text", "", 0)
            text.content = child.content
            tamed.append(text)
        else:
            tamed.append(child)
    return tamed
