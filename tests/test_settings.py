from pathlib import Path

import pytest

from zerostart.errors import InvalidSettings
from zerostart.settings import Settings, instance_environment, load_settings, server_address, setting_sources


def env(home: Path, **values: str) -> dict[str, str]:
    return {"ZEROSTART_HOME": str(home)} | {f"ZEROSTART_{name.upper()}": value for name, value in values.items()}


def write(home: Path, toml: str) -> None:
    (home / "zerostart.toml").write_text(toml)


def test_without_a_file_and_an_environment_there_are_defaults(tmp_path: Path) -> None:
    settings = load_settings(env(tmp_path))
    assert settings == Settings(home=tmp_path)
    assert (settings.host, settings.port, settings.engine) == ("127.0.0.1", 8480, "auto")


def test_the_file_beats_the_default_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'port = 9000\nthreads = 2\nregion = "eu-west-1"\nmax_body_mb = 12\n')
    settings = load_settings(env(tmp_path, port="9100", engine="fake"))
    assert (settings.port, settings.threads, settings.region, settings.engine) == (9100, 2, "eu-west-1", "fake")
    assert settings.max_body_bytes == 12 * 1024 * 1024


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    write(tmp_path, "port = 9000\nthreads = 2\n")
    environment = env(tmp_path, port="9100", engine="fake")
    sources = setting_sources(load_settings(environment).with_values(host="127.0.0.2"), environment)
    assert {name: source for name, source in sources.items() if source != "default"} == {
        "home": "environment",
        "port": "environment",
        "threads": "zerostart.toml",
        "engine": "environment",
        "host": "command line",
    }
    assert sources.keys() == set(Settings.__dataclass_fields__)


def test_an_empty_variable_counts_as_none(tmp_path: Path) -> None:
    assert load_settings(env(tmp_path, port="")).port == 8480


def test_home_is_absolute_and_everything_lives_in_it(tmp_path: Path) -> None:
    settings = load_settings(env(tmp_path))
    assert settings.sqlalchemy_url == f"sqlite:///{tmp_path}/zerostart.db"
    assert {settings.credentials_path.parent, settings.models_folder.parent, settings.cache_folder.parent} == {tmp_path}
    assert load_settings({"ZEROSTART_HOME": "~/somewhere"}).home == Path.home() / "somewhere"
    assert load_settings({"ZEROSTART_HOME": "here"}).home == Path.cwd() / "here"


def test_an_unknown_setting_in_the_file_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, "prot = 9000")
    with pytest.raises(InvalidSettings) as caught:
        load_settings(env(tmp_path))
    for part in ("'prot'", str(tmp_path / "zerostart.toml"), "port"):
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", "http", "Setting 'port' in environment is 'http': give a value of type int"),
        ("port", "1.5", "type int"),
        ("max_body_mb", "much", "type float"),
        ("port", "-1", "Setting 'port' is -1: it must be at least 0"),
        ("max_batch_tokens", "63", "it must be at least 64"),
        ("max_queued_pairs", "0", "it must be at least 1"),
        ("max_body_mb", "25.5", "it must be at most 25"),
        ("max_body_mb", "0", "at least 0.001"),
        ("max_body_mb", "nan", "Setting 'max_body_mb' is nan"),
        ("precision", "fp8", "Setting 'precision' is 'fp8': use auto, fp32, bf16 or int8"),
        ("log_level", "LOUD", "use DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_a_wrong_value_names_the_setting_the_value_and_the_remedy(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(env(tmp_path, **{name: value}))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("port = true", "'port'"),
        ("port = [1]", "'port'"),
        ("port = 80.5", "'port'"),
        ("region = 3", "'region'"),
        ("[port]\nx = 1", "'port'"),
        ("port = ", "not valid TOML"),
        ('region = "\\ud800"', "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, toml: str, message: str) -> None:
    write(tmp_path, toml)
    with pytest.raises(InvalidSettings) as caught:
        load_settings(env(tmp_path))
    assert message in caught.value.message
    assert "zerostart.toml" in caught.value.message


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zerostart.toml").write_bytes(b'region = "\xff"')
    with pytest.raises(InvalidSettings, match="not valid TOML"):
        load_settings(env(tmp_path))


def test_values_of_the_command_line_are_checked_too(tmp_path: Path) -> None:
    settings = load_settings(env(tmp_path))
    assert settings.with_values(port=9000, host=None) == Settings(home=tmp_path, port=9000)
    with pytest.raises(InvalidSettings, match="'port' is -1"):
        settings.with_values(port=-1)


def test_an_instance_inherits_its_settings_and_no_credentials(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, engine="fake", max_body_mb=7)
    outer = env(tmp_path, database_url="secret") | {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "secret", "HF_TOKEN": "s"}
    inner = instance_environment(settings, outer)
    assert inner["PATH"] == "/bin"
    assert "secret" not in inner.values()
    assert "HF_TOKEN" not in inner
    assert load_settings(inner) == settings


def test_the_client_finds_the_server_by_aws_endpoint_url_first(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port=9000)
    assert server_address(settings, {}).url == "http://127.0.0.1:9000"
    assert server_address(settings, {"AWS_ENDPOINT_URL": "http://elsewhere"}).url == "http://elsewhere"


def test_every_setting_is_described() -> None:
    for name, each in Settings.__dataclass_fields__.items():
        assert len(each.metadata["description"]) > 10, name
