"""The local launcher's contract with the system: sockets that nobody else can open, in paths that are short enough."""

from pathlib import Path

import pytest

from tests.processes import clean_environment, wait_for
from zerostart.errors import LaunchFailed
from zerostart.hosting.launcher import InstanceSpec
from zerostart.hosting.local import LocalLauncher
from zerostart.services.logs import LogService, Span


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


def test_a_log_begins_anew_when_it_is_long_and_the_instance_writes_on(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "run", tmp_path / "logs", clean_environment(tmp_path, ZEROSTART_ENGINE="fake"))
    instance = launcher.launch(InstanceSpec("e", "v", "zerostart-zstc-small", "ml.m5.large", 1))
    try:
        wait_for(lambda: "takes invocations" in instance.log_tail())
        [log] = (tmp_path / "logs" / "e" / "v").glob("*.log")
        with log.open("ab") as file:
            file.write(b"a line\n" * 1_600_000)
        assert instance.ping(1.0)
        assert log.stat().st_size == 0
        assert log.with_suffix(".log.1").stat().st_size > 10_000_000
        logs = LogService({"/e/": tmp_path / "logs"})
        page = logs.events("/e/e", f"v/{instance.id}", Span(), limit=10, token="f/9000000", from_head=True)
        assert page.events == ()
        instance.stop()
        wait_for(lambda: not instance.is_alive())
        assert log.stat().st_size < 10_000
    finally:
        instance.kill()
        launcher.close()
