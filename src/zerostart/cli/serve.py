"""zerostart serve and zerostart model-server: the two programs that wait for requests."""

import contextlib
import json
import ssl
import sys
from dataclasses import asdict
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from zerostart.cli.instance import serve_model
from zerostart.cli.own_process import exit_with_parent_process, give_precedence, isolate_for_model, return_freed_memory
from zerostart.errors import InvalidSettings
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.settings import ServerAddress, Settings, load_settings, write_server_address
from zerostart.sign_in_links import create_sign_in_token, sign_in_url

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(serve)
    app.command()(model_server)
    app.command(hidden=True)(transform_worker)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind; another than loopback needs TLS.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0 takes a free one.")] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve https with a certificate of this installation's own authority.")
    ] = False,
    tls_name: Annotated[
        list[str] | None, typer.Option(help="With --tls: a further name or address that clients use; repeat it.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Serve https with this certificate file (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key file (PEM) of --tls-cert.")] = None,
    allow_plain_http: Annotated[
        bool, typer.Option("--allow-plain-http", help="Bind another address than loopback without TLS.")
    ] = False,
) -> None:
    """Run the server: SageMaker's API for models and endpoints, on this machine.

    Example: zerostart serve

    Example: zerostart serve --host 0.0.0.0 --tls

    Example: zerostart serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
    """
    from zerostart.bootstrap.server import build_server_parts
    from zerostart.credentials import AccessKeys, ensure_credentials
    from zerostart.logs import configure_logs
    from zerostart.server.app import build_app
    from zerostart.serving.http import Gate, run_server

    settings = load_settings().with_values(host=host, port=port)
    context = _tls_context(settings, own=tls, names=tls_name or [], certificate=tls_cert, key=tls_key)
    _check_address(settings.host, encrypted=context is not None, allow_plain_http=allow_plain_http)
    configure_logs(settings.log_level)
    parts = build_server_parts(settings)
    keys = AccessKeys(ensure_credentials(settings.credentials_path), settings.access_keys_path)
    gate = Gate()
    app = build_app(parts, keys, gate, _web_hosts(settings.host, tls_name or [], tls_cert))
    run_server(
        app,
        gate,
        grace_s=settings.drain_grace_s,
        on_ready=partial(_announce_server, settings, ca_bundle=_ca_path(settings) if tls else None),
        host=settings.host,
        port=settings.port,
        tls=context,
    )
    settings.address_path.unlink(missing_ok=True)


def model_server(
    model: Annotated[str, typer.Option(help="Model id.")] = BUILTIN_MODEL_ID,
    port: Annotated[int | None, typer.Option(help="Port to bind.")] = None,
    host: Annotated[str, typer.Option(help="Address to bind with --port.")] = "127.0.0.1",
    socket: Annotated[Path | None, typer.Option(help="Unix socket to bind instead of a port.")] = None,
    engine: Annotated[str | None, typer.Option(help="openvino, onnxruntime or fake.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or int8.")] = None,
    threads: Annotated[int | None, typer.Option(help="Engine threads; 0 is every core.")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Profile that 'zerostart evaluate --save-profile' wrote: answer by it.")
    ] = None,
    allow_plain_http: Annotated[
        bool, typer.Option("--allow-plain-http", help="Bind another address than loopback.")
    ] = False,
) -> None:
    """Run one model as SageMaker's serving container does: GET /ping, POST /invocations, no authentication.

    Example: zerostart model-server --model zerostart-zstc-small --port 8080
    """
    settings = load_settings().with_values(engine=engine, precision=precision, threads=threads)
    if (port is None) == (socket is None):
        raise InvalidSettings("Give --port or --socket: one of the two.")
    if socket is None:
        _check_address(host, encrypted=False, allow_plain_http=allow_plain_http)
    return_freed_memory()
    serve_model(settings, model, profile, socket=socket, host=host, port=port or 0)


def _tls_context(
    settings: Settings, *, own: bool, names: list[str], certificate: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    """What https needs, by the options given; None for http."""
    if (certificate is None) != (key is None):
        raise InvalidSettings("Give --tls-cert and --tls-key together.")
    if own and certificate is not None:
        raise InvalidSettings("Give --tls, or --tls-cert and --tls-key: one of the two.")
    if names and not own:
        raise InvalidSettings("--tls-name goes with --tls.")
    if certificate is not None:
        return _given_context(certificate, key)
    if not own:
        return None
    from zerostart.certificates import Authority, own_names, renewing_context

    authority = Authority(settings.tls_folder)
    wildcard = settings.host in _WILDCARDS
    hosts = [*_LOOPBACK, *(own_names() if wildcard else [settings.host]), *names]
    context = renewing_context(authority, list(dict.fromkeys(hosts)))
    authority.publish(_ca_path(settings))
    return context


def _given_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise InvalidSettings(f"{certificate} and {key} cannot be used for https: {error}") from error
    return context


def _web_hosts(host: str, names: list[str], certificate: Path | None) -> list[str]:
    """The names under which browsers get pages. Under others another site may be asking (DNS rebinding)."""
    from zerostart.certificates import own_names, subject_names

    of_machine = own_names() if host in _WILDCARDS else [host]
    return [*_LOOPBACK, *of_machine, *names, *(subject_names(certificate) if certificate else [])]


def _ca_path(settings: Settings) -> Path:
    return settings.tls_folder / "ca.pem"


def _announce_server(settings: Settings, address: str, *, ca_bundle: Path | None) -> None:
    """Say where the server is: to clients of this installation, and on the screen."""
    local = address
    for wildcard in _WILDCARDS:
        local = local.replace(f"//{wildcard}:", "//127.0.0.1:").replace(f"//[{wildcard}]:", "//[::1]:")
    write_server_address(settings, ServerAddress(local, str(ca_bundle) if ca_bundle else None))
    _welcome(address, settings, ca_bundle, sign_in_url(local, create_sign_in_token(settings.sign_in_folder)))


def transform_worker(
    job: Annotated[str, typer.Option(help="The job.")] = "",
    name: Annotated[str, typer.Option(help="This worker's name, one of its own in the job.")] = "",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Read what a job would do as JSON, print what it is expected to take.")
    ] = False,
    isolate_for: Annotated[
        str, typer.Option(help="Keep to the files of this model, the buckets and the database, and use no network.")
    ] = "",
) -> None:
    """Work on one transform job until it ended; the server starts workers.

    Example: zerostart transform-worker --job my-job --name worker-0
    """
    settings = load_settings()
    if not estimate:  # somebody waits for one, and it is short: behind all other work it would time out
        give_precedence()
    if isolate_for:
        _isolate_worker(settings, isolate_for)
    if not estimate:
        exit_with_parent_process()
    return_freed_memory()
    from zerostart.bootstrap.worker import build_runner
    from zerostart.logs import configure_logs

    configure_logs(settings.log_level)
    if estimate:
        print(_estimate(settings, sys.stdin.buffer.read()))  # noqa: T201
        return
    runner, database = build_runner(settings, name)
    try:
        runner.run(job)
    finally:
        database.close()


def _estimate(settings: Settings, asked: bytes) -> str:
    """The estimate as JSON, or why there is none."""
    from zerostart.bootstrap.worker import estimate_job
    from zerostart.errors import ZerostartError
    from zerostart.metadata.transform_job import TransformOptions

    document = json.loads(asked)
    try:
        found = estimate_job(settings, document["model_id"], TransformOptions(**document["options"]))
    except ZerostartError as error:
        return json.dumps({"refused": str(error)})
    return json.dumps(asdict(found))


def _check_address(host: str, *, encrypted: bool, allow_plain_http: bool) -> None:
    loopback = host == "localhost"
    with contextlib.suppress(ValueError):
        loopback = loopback or ip_address(host).is_loopback
    if not (loopback or encrypted or allow_plain_http):
        raise InvalidSettings(
            f"{host} can be reached from other machines, and keys and texts would cross the network unencrypted: "
            "give --tls, or --tls-cert and --tls-key, or --allow-plain-http behind a proxy that encrypts."
        )


def _isolate_worker(settings: Settings, model: str) -> None:
    """What a worker writes beside: buckets with the keys of their content, and SQLite's files, which the server holds.

    The credentials are none of these.
    """
    database = (settings.home / f"zerostart.db{end}" for end in ("", "-wal", "-shm"))
    folders = [settings.home / "buckets", settings.home / "keys"]
    for each in folders:
        each.mkdir(mode=0o700, exist_ok=True)
    isolate_for_model(settings, model, *folders, *database)


def _welcome(address: str, settings: Settings, ca_bundle: Path | None, sign_in: str) -> None:
    """What a newcomer needs next; the command works when pasted into another terminal."""
    program = Path(sys.argv[0])
    command = str(program.absolute()) if program.name == "zerostart" else f"{sys.executable} -m zerostart"
    home = "" if settings.home == Settings().home else f"ZEROSTART_HOME={settings.home} "
    trusted = f"\nAuthority that clients have to trust: {ca_bundle}" if ca_bundle else ""
    print(  # noqa: T201
        f"""
Zerostart is running on {address}   (Ctrl-C stops it)
Credentials: {settings.credentials_path}{trusted}

In a browser (the link works once, within 15 minutes; {home}{command} ui makes another):

  {sign_in}

A first endpoint, from another terminal:

  {home}{command} deploy {BUILTIN_MODEL_ID} --endpoint-name first --wait
  {home}{command} invoke first "One day I will see the world" --labels travel,cooking,dancing

boto3 and the AWS CLI work on it after:  eval "$({home}{command} env)"
""",
        flush=True,
    )
