"""zerostart run: a program that was written for AWS, run against this installation."""

import asyncio
import os
import re
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from zerostart.certificates import Authority
from zerostart.cli.client import ServerRefused
from zerostart.cli.proxy import Proxy, covers_aws_host
from zerostart.credentials import AccessKey, client_key
from zerostart.errors import InvalidInput
from zerostart.settings import Settings, load_settings, server_address

_SAGEMAKER_CONFIG = """SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""
_BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(run)


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after --.")],
    only_aws: Annotated[
        bool, typer.Option("--only-aws", help="Refuse every host that is none of AWS's, instead of passing it on.")
    ] = False,
) -> None:
    """Run a program that was written for AWS against this installation, unchanged.

    The program, and it alone, gets this installation's address, keys and certificate authority, and a proxy that
    answers for AWS's hosts. Nothing that it asks of AWS leaves this machine.

    Example: zerostart run -- python train_and_deploy.py

    Example: zerostart run --only-aws -- aws sagemaker list-endpoints
    """
    settings = load_settings()
    url = server_address(settings).url
    pair = client_key(settings.credentials_path)
    _check_server(url)
    if theirs := _own_aws(os.environ, pair):
        typer.echo(f"zerostart: {command[0]} uses {url}; your {theirs} is not used.", err=True)
    sys.exit(asyncio.run(_run(command, settings, url, pair, only_aws=only_aws)))


async def _run(command: list[str], settings: Settings, url: str, pair: AccessKey, *, only_aws: bool) -> int:
    authority = Authority(settings.tls_folder)
    upstream = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    with tempfile.TemporaryDirectory(prefix="zerostart-run-") as name:
        folder = Path(name)
        async with Proxy(authority, url, only_aws=only_aws, upstream=upstream) as proxy:
            environment = _environment(os.environ, folder, settings, url, pair, proxy.url, authority)
            asked: asyncio.Queue[signal.Signals] = asyncio.Queue()  # from before the child starts: none is lost
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, asked.put_nowait, number)
            try:
                child = await asyncio.create_subprocess_exec(*command, env=environment)
            except FileNotFoundError:
                raise InvalidInput(f"There is no program {command[0]!r}: give its path, after --.") from None
            except PermissionError:
                raise InvalidInput(f"{command[0]!r} is not a program that can be run.") from None
            forwarding = asyncio.create_task(_forward(child, asked))
            code = await child.wait()
            forwarding.cancel()
    return code if code >= 0 else 128 - code


async def _forward(child: asyncio.subprocess.Process, asked: asyncio.Queue[signal.Signals]) -> None:
    """Pass signals on; the terminal sends SIGINT to the child itself."""
    while True:
        number = await asked.get()
        if child.returncode is None and not (number is signal.SIGINT and sys.stdin.isatty()):
            child.send_signal(number)


def _environment(
    present: Mapping[str, str],
    folder: Path,
    settings: Settings,
    url: str,
    pair: AccessKey,
    proxy_url: str,
    authority: Authority,
) -> dict[str, str]:
    """The child's environment: the present one without anything of AWS's, and with what this installation needs."""
    bundle, config, nothing = folder / "authorities.pem", folder / "sagemaker.yaml", folder / "empty"
    bundle.write_bytes(_authorities(present) + authority.certificate_pem)
    config.write_text(_SAGEMAKER_CONFIG)
    nothing.touch()
    kept = {name: value for name, value in present.items() if not name.startswith("AWS_")}
    no_proxy = ",".join([*_direct_hosts(present), "localhost", "127.0.0.1", "::1"])
    return {
        **kept,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_CONFIG_FILE": str(nothing),
        "AWS_SHARED_CREDENTIALS_FILE": str(nothing),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy_url),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), no_proxy),
        **{name: str(bundle) for name in _BUNDLE_VARIABLES},
    }


def _direct_hosts(present: Mapping[str, str]) -> list[str]:
    """The user's NO_PROXY, without what covers a host of AWS's: to those the child must not go directly."""
    given = ",".join(present.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    return [each for each in re.split(r"[,\s]+", given) if each and not covers_aws_host(each)]


def _authorities(present: Mapping[str, str]) -> bytes:
    """The authorities that the child trusts for other hosts: those of the user's own bundles, or botocore's."""
    import botocore

    given = {present[name] for name in _BUNDLE_VARIABLES if present.get(name)}
    own = [Path(each) for each in sorted(given)] or [Path(botocore.__file__).parent / "cacert.pem"]
    return b"".join(each.read_bytes() + b"\n" for each in own if each.is_file())


def _own_aws(present: Mapping[str, str], pair: AccessKey) -> str | None:
    """What the user has for the real AWS, in a word."""
    if present.get("AWS_ACCESS_KEY_ID") not in {None, "", pair.access_key_id}:
        return "AWS_ACCESS_KEY_ID"
    if present.get("AWS_PROFILE"):
        return f"profile {present['AWS_PROFILE']}"
    file = Path(present.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    return str(file) if file.is_file() else None


def _check_server(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"{url}/ping", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError as error:
        if "CERTIFICATE" not in str(error):
            raise ServerRefused(f"No server answers on {url}: run zerostart serve") from error
