"""What tests in a real browser share: where it is, and what may be wrong on a page."""

from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
START_TIMEOUT_MS = 60_000
_AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")


def complaint_of(message: ConsoleMessage) -> list[str]:
    """What the console says; nothing of a page that was answered 4xx because a test filled in its form wrongly."""
    answered = message.text.startswith("Failed to load resource: the server responded with a status of 4")
    if answered and "/static/" not in message.location["url"]:
        return []
    return [f"{message.type}: {message.text}"]


def wrong_on(page: Page, path: str) -> list[str]:
    """What axe finds serious on the page at `path`, and whether it is wider than the window."""
    page.goto(path)
    return wrong_here(page)


def wrong_here(page: Page) -> list[str]:
    """The same for the page that is open."""
    page.evaluate(_AXE)
    result: Any = page.evaluate("axe.run()")
    found = [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in result["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("it is wider than the window")
    return found
