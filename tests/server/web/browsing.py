"""What tests in a real browser share: where it is, and what may be wrong on a page."""

from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page

from tests.processes import wait_for

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
START_TIMEOUT_MS = 60_000
_WEIGHT = """[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .reduce((sum, each) => sum + each.decodedBodySize, 0)"""
_MOST_BYTES = 150_000
_AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")


def complaint_of(message: ConsoleMessage) -> list[str]:
    """What the console says; nothing of a page that was answered 4xx because a test filled in its form wrongly."""
    answered = message.text.startswith("Failed to load resource: the server responded with a status of 4")
    if answered and "/static/" not in message.location["url"]:
        return []
    return [f"{message.type}: {message.text}"]


def wrong_on(page: Page, path: str) -> list[str]:
    """What is wrong with the page at `path`, as `wrong_here` says, and whether it weighs too much."""
    page.goto(path)
    weight = page.evaluate(_WEIGHT)
    return wrong_here(page) + ([f"it weighs {weight:,} bytes"] if weight > _MOST_BYTES else [])


def wrong_here(page: Page) -> list[str]:
    """What axe finds serious on the open page, in light and in dark, and whether it is wider than the window."""
    page.evaluate(_AXE)
    found = []
    for scheme, rules in (("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")):  # all else is the same in dark
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        result: Any = page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], ...{rules}}})")
        found += [
            f"{scheme}, {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in result["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("it is wider than the window")
    return found


def painted_ms(page: Page, path: str) -> float:
    """When the browser painted something first."""
    page.goto(path)
    asked = "performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)"
    found: list[float] = wait_for(lambda: page.evaluate(asked))
    return found[0]
