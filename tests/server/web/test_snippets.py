"""The code that the pages show runs as it is shown."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import BUILTIN, ServerProcess, clean_environment, wait_for
from tests.server.web.conftest import Visitor


def snippets(page: str) -> dict[str, str]:
    found = re.findall(r'aria-label="([^"]+)"><code>(.*?)</code>', page, re.DOTALL)
    return {html.unescape(name): html.unescape(code) for name, code in found}


def run(server: ServerProcess, name: str, code: str, folder: Path) -> str:
    """What a snippet prints when it is pasted; Python's after what its first line says to do."""
    file = folder / ("snippet.sh" if name in {"Command line", "curl"} else "snippet.py")
    file.write_text(code)
    command = ["bash", "-eu", str(file)]
    if file.suffix == ".py":
        command = ["bash", "-euc", f'eval "$(zerostart env)"; exec {sys.executable} {file}']
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = clean_environment(server.home, PATH=path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["boto3", "Command line", "Python, without a server", "curl"])
def test_a_models_code_deploys_and_asks_it(admin: Visitor, name: str, tmp_path: Path) -> None:
    admin.open(f"/hub/models/{BUILTIN}")
    found = snippets(admin.page)
    assert len(found) == 4
    try:
        printed = run(admin.server, name, found[name], tmp_path)
        assert re.search(r"""["']labels["']: ?\[["']travel""", printed), printed
    finally:
        if "without a server" not in name:
            admin.server.delete(BUILTIN)
            wait_for(lambda: admin.open(f"/endpoints/{BUILTIN}").status_code == 404, 60)


@pytest.mark.parametrize("name", ["boto3", "Command line", "curl"])
def test_an_endpoints_code_asks_it(admin: Visitor, name: str, tmp_path: Path) -> None:
    admin.open("/endpoints/shared")
    printed = run(admin.server, name, snippets(admin.page)[name], tmp_path)
    assert re.search(r"""["']labels["']: ?\[["']travel""", printed), printed
