"""The pictures of the documentation are taken, and kept beside the tests' results."""

import os
from pathlib import Path

from tests.pictures import IMAGES, PICTURES, take
from tests.processes import ServerProcess
from tests.server.web.conftest import OpenPage

# Ignored by git. What runs the tests may keep it.
FOLDER = Path(os.environ.get("PICTURES_FOLDER", Path(__file__).parents[3] / ".pictures"))


def test_pictures_are_taken_and_are_small(shared_server: ServerProcess, open_page: OpenPage) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    page = open_page(shared_server)
    taken = [take(picture, page, FOLDER, endpoint="shared") for picture in PICTURES]
    assert {path.name: path.stat().st_size for path in taken if path.stat().st_size > 150_000} == {}


def test_the_documentation_shows_pictures_that_are_there_and_all_of_them() -> None:
    names = {f"{picture.name}.png" for picture in PICTURES}
    assert names == {path.name for path in IMAGES.iterdir()}
    written = (IMAGES.parent / "ui.md").read_text("utf-8") + (IMAGES.parents[1] / "README.md").read_text("utf-8")
    assert [name for name in sorted(names) if f"images/{name})" not in written] == []
