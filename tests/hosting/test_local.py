"""The local launcher's contract with the system: sockets that nobody else can open, in paths that are short enough."""

from pathlib import Path

import pytest

from tests.processes import clean_environment, wait_for
from zerostart.errors import LaunchFailed
from zerostart.hosting.launcher import InstanceSpec
from zerostart.hosting.local import LocalLauncher


def test_a_home_too_long_for_a_socket_still_works(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20) / ("deeper" * 15)
    environment = clean_environment(home, ZEROSTART_ENGINE="fake")
    launcher = LocalLauncher(home / "run", home / "logs", environment)
    instance = launcher.launch(InstanceSpec("e", "v", "zerostart-zstc-small", "ml.m5.large", 1))
    try:
        wait_for(lambda: instance.ping(1.0))
        wait_for(lambda: "takes invocations" in instance.log_tail())
    finally:
        instance.kill()
    assert not instance.is_alive()
    launcher.close()


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LaunchFailed, match="belongs to somebody else"):
        LocalLauncher(tmp_path / "run", tmp_path / "logs", {})
