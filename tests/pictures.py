"""Pictures of the pages for the documentation: `python -m tests.pictures [FOLDER]`, which `make screenshots` runs.

A real server, its built-in model and Chromium. A further picture is a line of PICTURES.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.processes import BUILTIN, ServerProcess
from zerostart.sign_in_links import create_sign_in_token, sign_in_url

CHROMIUM = Path("/usr/bin/chromium")
IMAGES = Path(__file__).parents[1] / "docs" / "images"
ENDPOINT = "support"
_TEXT = "My card was charged twice for the same hotel night."
_LABELS = "billing, booking, complaint, praise"
_HEADLINES = (
    "The striker scored twice in the last ten minutes of the final.",
    "Whisk the eggs, then fold in the flour and bake for half an hour.",
    "The central bank raised interest rates by a quarter of a point.",
    "We took the night train to Vienna and had breakfast by the river.",
)
_DESKTOP, _PHONE = (1200, 800), (390, 780)


def _nothing(_page: Page) -> None:
    """The page is right as it is."""


def _many_texts(page: Page) -> None:
    page.get_by_label("Texts").fill("\n".join(_HEADLINES))
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("heading", name="4 texts")).to_be_visible(timeout=60_000)
    page.locator("#results").scroll_into_view_if_needed()


def _decided(page: Page) -> None:
    page.get_by_role("link", name="Try an example").click()
    expect(page.locator(".answers")).to_be_visible(timeout=60_000)
    page.get_by_role("navigation", name="Playground").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('.tabs').scrollIntoView()")


def _example(page: Page) -> None:
    page.get_by_role("button", name="Try it with an example").click()
    page.wait_for_load_state()


@dataclass(frozen=True)
class Picture:
    """What is seen at an address, where `{endpoint}` and `{model}` stand for those that are there."""

    name: str
    path: str
    window: tuple[int, int] = _DESKTOP
    scheme: str = "light"
    prepare: Callable[[Page], None] = _nothing


PICTURES: Sequence[Picture] = (
    Picture("landing", "/", (1200, 940)),
    Picture("landing-phone", "/", _PHONE),
    Picture("hub", "/hub?language=en&sort=small"),
    Picture("model", "/hub/models/{model}?example=2"),
    Picture("fetch", "/hub/models/facebook/bart-large-mnli"),
    Picture("endpoint", "/endpoints/{endpoint}?text={text}&labels={labels}"),
    Picture("endpoint-dark", "/endpoints/{endpoint}?text={text}&labels={labels}", scheme="dark"),
    Picture("many-texts", "/endpoints/{endpoint}/texts?labels=sport, cooking, economy, travel", prepare=_many_texts),
    Picture("decide", "/endpoints/{endpoint}/decide", (1200, 1000), prepare=_decided),
    Picture("batch", "/batch/new"),
    Picture("evaluate", "/evaluate/new", prepare=_example),
    Picture("solution", "/solutions/zero-shot-text-classification"),
    Picture("clean-up", "/settings/clean-up"),
)


def take(picture: Picture, page: Page, folder: Path, endpoint: str = ENDPOINT) -> Path:
    """The file that a picture was written to. The endpoint has to be in service, and the page to be signed in."""
    values: Mapping[str, str] = {"endpoint": endpoint, "model": BUILTIN, "text": _TEXT, "labels": _LABELS}
    width, height = picture.window
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme="dark" if picture.scheme == "dark" else "light", reduced_motion="reduce")
    page.goto(picture.path.format_map(values))
    picture.prepare(page)
    path = folder / f"{picture.name}.png"
    page.screenshot(path=path)
    return path


def main(folder: Path = IMAGES) -> None:
    """Take all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, ServerProcess(Path(home)) as server, sync_playwright() as playwright:
        server.deploy(ENDPOINT)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=server.address)
        page.goto(sign_in_url(server.address, create_sign_in_token(server.home / "sign-in")))
        page.wait_for_url("/")
        for picture in PICTURES:
            path = take(picture, page, folder)
            sys.stdout.write(f"{path}  {path.stat().st_size / 1000:.0f} kB\n")
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
