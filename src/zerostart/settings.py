"""All settings: read once here, from the environment or `$ZEROSTART_HOME/zerostart.toml`, and passed on as values."""

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerostart.errors import InvalidSettings

PREFIX = "ZEROSTART_"
MAX_BODY_MB_CEILING = 25
DEFAULT = "default"


def _setting(default: Any, description: str, *, minimum: float | None = None) -> Any:
    return field(default=default, metadata={"description": description, "minimum": minimum})


@dataclass(frozen=True)
class Settings:
    """One value per setting; units stand in the names. An environment variable `ZEROSTART_<NAME>` beats the file."""

    home: Path = field(
        default_factory=lambda: Path.home() / ".zerostart",
        metadata={"description": "Folder for the database, credentials, models, logs and caches."},
    )
    host: str = _setting("127.0.0.1", "Address that `zerostart serve` binds.")
    port: int = _setting(8480, "Port that `zerostart serve` binds; 0 takes a free one.", minimum=0)
    region: str = _setting("us-east-1", "AWS region written into ARNs; signatures of any region are accepted.")
    database_url: str = _setting("", "SQLAlchemy URL of the metadata; empty is SQLite in the home folder.")
    launcher: str = _setting(
        "local", "Where instances and workers run: local (processes on this machine), or ray (nodes of a Ray cluster)."
    )
    ray_address: str = _setting(
        "",
        "Ray cluster that this machine is a node of, as auto or HOST:6379; empty is the variable RAY_ADDRESS, else one "
        "that the server starts on this machine.",
    )
    artefact_bucket: str = _setting(
        "zerostart-artefacts", "Bucket that models travel through to the nodes of a Ray cluster."
    )
    engine: str = _setting(
        "auto",
        "Engine: auto (what `models bench` found fastest, else openvino), openvino, onnxruntime, torch or fake.",
    )
    precision: str = _setting(
        "auto",
        "auto, fp32, bf16 or int8; auto is what `models bench` found fastest, else bf16 where the processor has it, "
        "else fp32.",
    )
    shortlist_model: str = _setting(
        "zerostart-embed-base", "Embedding model that ranks labels for requests with a shortlist."
    )
    threads: int = _setting(0, "Engine threads of one model server; 0 is every core.", minimum=0)
    max_batch_tokens: int = _setting(512, "Most tokens (pairs x padded length) in one engine batch.", minimum=64)
    max_queued_pairs: int = _setting(
        16384,
        "Most pairs (texts x labels) that wait in one instance; also the most that one request may hold.",
        minimum=1,
    )
    max_body_mb: float = _setting(6.0, f"Largest request body in MiB, at most {MAX_BODY_MB_CEILING}.", minimum=0.001)
    invocation_timeout_s: float = _setting(60.0, "Longest that an invocation may take.", minimum=0.1)
    drain_grace_s: float = _setting(30.0, "Longest that a stopping server waits for requests in flight.", minimum=0)
    start_timeout_s: float = _setting(120.0, "Longest that an instance may take to answer its first ping.", minimum=1)
    serverless_idle_s: float = _setting(
        300.0, "An instance of a serverless endpoint ends when nobody asked for so long.", minimum=1
    )
    idle_timeout_s: float = _setting(
        1800.0,
        "An endpoint that nobody called for so long stops its instances until the next call; 0 is never.",
        minimum=0,
    )
    storage: str = _setting("local", "Where buckets are: local (in the home folder), or s3 (a service with S3's API).")
    storage_endpoint_url: str = _setting("", "Address of the S3 service; empty is AWS's.")
    s3_gateway: str = _setting("on", "Whether this server answers S3's API for those buckets: on or off.")
    isolation: str = _setting(
        "auto", "Cut instances off from network and files: auto (where the system allows it), required or off."
    )
    max_transform_workers: int = _setting(0, "Most workers of all transform jobs together; 0 is one a core.", minimum=0)
    transform_errors: str = _setting(
        "strict",
        "What a record that fails does to a job that does not say: strict (its file has no output) or collect.",
    )
    max_instances: int = _setting(
        0, "Most instances of all endpoints together; 0 is four, or two a core if that is more.", minimum=0
    )
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")

    @property
    def max_body_bytes(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * 1024 * 1024)

    @property
    def sqlalchemy_url(self) -> str:
        """Where the metadata is."""
        return self.database_url or f"sqlite:///{self.home / 'zerostart.db'}"

    @property
    def credentials_path(self) -> Path:
        """The AWS ini file with this installation's key pair."""
        return self.home / "credentials"

    @property
    def access_keys_path(self) -> Path:
        """The keys that `zerostart keys create` made."""
        return self.home / "access-keys.json"

    @property
    def key_uses_path(self) -> Path:
        """When each key was last used; safe to delete."""
        return self.home / "access-keys-used.json"

    @property
    def sign_in_folder(self) -> Path:
        """Links that sign a browser in and were not used yet."""
        return self.home / "sign-in"

    @property
    def address_path(self) -> Path:
        """Where the running server says how it is reached."""
        return self.home / "server.json"

    @property
    def tls_folder(self) -> Path:
        """This installation's certificate authority."""
        return self.home / "tls"

    @property
    def models_folder(self) -> Path:
        """Where artefacts that are not built in are kept."""
        return self.home / "models"

    @property
    def tuning_folder(self) -> Path:
        """What was measured of models on this machine; safe to delete."""
        return self.home / "tuning"

    @property
    def cache_folder(self) -> Path:
        """Compiled models; safe to delete."""
        return self.home / "cache"

    def with_values(self, **values: Any) -> "Settings":
        """A copy with those of `values` that are not None; raises InvalidSettings."""
        given = {name: value for name, value in values.items() if value is not None}
        return _checked(dataclasses.replace(self, **_typed_values(given, "the call")))


_MODEL_SERVER_SETTINGS = (
    "home",
    "engine",
    "precision",
    "shortlist_model",
    "max_batch_tokens",
    "max_queued_pairs",
    "max_body_mb",
    "drain_grace_s",
    "log_level",
)
# What else of the environment an instance may see: how programs, libraries and Python run, and in which language.
_INHERITED = ("PATH", "LD_", "DYLD_", "PYTHON", "VIRTUAL_ENV", "LANG", "LC_", "TZ", "TMPDIR", "OMP_", "TBB_", "OV_")


def instance_environment(settings: Settings, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What an instance inherits: how programs run on this machine, and the settings that it needs; nothing else."""
    env = os.environ if environment is None else environment
    kept = {key: value for key, value in env.items() if key.startswith(_INHERITED)}
    return kept | {f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in _MODEL_SERVER_SETTINGS}


@dataclass(frozen=True)
class ServerAddress:
    """Where clients on this machine reach a server, and the file of the authority to trust there if it needs one."""

    url: str
    ca_bundle: str | None = None


def server_address(settings: Settings, environment: Mapping[str, str] | None = None) -> ServerAddress:
    """Where the CLI finds the server: AWS_ENDPOINT_URL, else what the server wrote down, else where one would be."""
    env = os.environ if environment is None else environment
    if url := env.get("AWS_ENDPOINT_URL"):
        return ServerAddress(url, env.get("AWS_CA_BUNDLE") or None)
    try:
        return ServerAddress(**json.loads(settings.address_path.read_text("utf-8")))
    except FileNotFoundError:
        return ServerAddress(f"http://{settings.host}:{settings.port}")
    except (ValueError, TypeError) as error:
        raise InvalidSettings(f"{settings.address_path} is broken ({error}): start the server again.") from error


def write_server_address(settings: Settings, address: ServerAddress) -> None:
    """Tell clients of this installation where its server is."""
    temporary = settings.address_path.with_suffix(".new")
    temporary.write_text(json.dumps(dataclasses.asdict(address)))
    temporary.rename(settings.address_path)


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process: defaults, then `zerostart.toml` in the home folder, then the environment."""
    env = os.environ if environment is None else environment
    home = Path(env.get(f"{PREFIX}HOME") or Settings().home).expanduser().absolute()
    values: dict[str, Any] = {}
    for source, given in (
        (str(home / "zerostart.toml"), _file_values(home)),
        ("environment", _environment_values(env)),
    ):
        values |= _typed_values(given, source)
    return _checked(Settings(**(values | {"home": home})))


def setting_sources(settings: Settings, environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Where each value comes from, for the process that has just read its settings."""
    env = os.environ if environment is None else environment
    read = load_settings(env)
    of_file = dict.fromkeys(_file_values(read.home), "zerostart.toml")
    of_environment = dict.fromkeys(_environment_values(env), "environment")
    names = [each.name for each in dataclasses.fields(settings)]
    found = {**dict.fromkeys(names, DEFAULT), **of_file, **of_environment}
    given = {name: "command line" for name in names if getattr(read, name) != getattr(settings, name)}
    return found | given


def _typed_values(given: Mapping[str, Any], source: str) -> dict[str, Any]:
    kinds = {f.name: f.type for f in dataclasses.fields(Settings)}
    for name in given:
        if name not in kinds:
            raise InvalidSettings(f"Unknown setting '{name}' in {source}. Known: {', '.join(sorted(kinds))}.")
    return {
        name: Path(value) if name == "home" else _typed(name, value, kinds[name], source)
        for name, value in given.items()
    }


def _file_values(home: Path) -> dict[str, Any]:
    path = home / "zerostart.toml"
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path} is not valid TOML: {error}") from error


def _environment_values(env: Mapping[str, str]) -> dict[str, str]:
    names = {f"{PREFIX}{f.name.upper()}": f.name for f in dataclasses.fields(Settings)}
    found = {names[key]: value for key, value in env.items() if key in names and value != ""}
    return {"ray_address": env["RAY_ADDRESS"], **found} if env.get("RAY_ADDRESS") else found


def _typed(name: str, value: Any, kind: Any, source: str) -> Any:
    wanted = {"int": int, "float": float, "str": str, int: int, float: float, str: str}[kind]
    try:
        if isinstance(value, bool) or not isinstance(value, (str, wanted, *([int] if wanted is float else []))):
            raise ValueError(value)  # noqa: TRY301, TRY004 - one message for every wrong value
        return wanted(value)
    except (TypeError, ValueError):
        raise InvalidSettings(
            f"Setting '{name}' in {source} is {value!r}: give a value of type {wanted.__name__}."
        ) from None


_CHOICES = {
    "launcher": ("local", "ray"),
    "precision": ("auto", "fp32", "bf16", "int8"),
    "storage": ("local", "s3"),
    "s3_gateway": ("on", "off"),
    "isolation": ("auto", "required", "off"),
    "transform_errors": ("strict", "collect"),
}


def _checked(settings: Settings) -> Settings:
    for each in dataclasses.fields(settings):
        value, minimum = getattr(settings, each.name), each.metadata.get("minimum")
        if minimum is not None and not value >= minimum:
            raise InvalidSettings(f"Setting '{each.name}' is {value}: it must be at least {minimum}.")
    if settings.max_body_mb > MAX_BODY_MB_CEILING:
        raise InvalidSettings(
            f"Setting 'max_body_mb' is {settings.max_body_mb}: it must be at most {MAX_BODY_MB_CEILING}."
        )
    for name, values in _CHOICES.items():
        if getattr(settings, name) not in values:
            shown = f"{', '.join(values[:-1])} or {values[-1]}"
            raise InvalidSettings(f"Setting '{name}' is {getattr(settings, name)!r}: use {shown}.")
    if settings.launcher == "ray" and settings.ray_address and (settings.storage != "s3" or not settings.database_url):
        raise InvalidSettings(
            "Nodes of a Ray cluster reach neither buckets nor a database in the home folder of this machine: set "
            "storage to s3 and database_url to a PostgreSQL, or leave ray_address (and RAY_ADDRESS) empty."
        )
    if settings.log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise InvalidSettings(f"Setting 'log_level' is {settings.log_level!r}: use DEBUG, INFO, WARNING or ERROR.")
    return settings
