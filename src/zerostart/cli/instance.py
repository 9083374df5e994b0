"""A model server's process: the program that the server starts for each instance of an endpoint.

It has neither typer nor the other verbs: importing those would take a fifth of a wake-up.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zerostart.cli.own_process import exit_with_parent_process, isolate_for_model, return_freed_memory
from zerostart.errors import ZerostartError
from zerostart.settings import Settings, load_settings


def main() -> None:
    """Serve a model on a Unix socket until the parent process ends."""
    parser = argparse.ArgumentParser("zerostart model-server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--isolate", action="store_true")
    parser.add_argument("--exit-with-parent", action="store_true", required=True)
    asked = parser.parse_args(sys.argv[2:])
    try:
        settings = load_settings().with_values(threads=asked.threads)
        if asked.isolate:
            isolate_for_model(settings, asked.model, asked.socket.parent)
            print("isolated: no network, no other files than the model's", flush=True)  # noqa: T201
        exit_with_parent_process()
        return_freed_memory()
        serve_model(settings, asked.model, asked.profile, socket=asked.socket)
    except ZerostartError as error:
        sys.exit(f"zerostart: {error}")


def serve_model(
    settings: Settings,
    model: str,
    profile: Path | None,
    *,
    socket: Path | None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> None:
    """Serve a model on a Unix socket or a port until told to end. Raises as `build_classifier`."""
    from zerostart.bootstrap.classifier import build_classifier
    from zerostart.logs import configure_logs
    from zerostart.metrics import ModelServerMetrics
    from zerostart.nli.profile import read_profile

    configure_logs(settings.log_level)
    metrics = ModelServerMetrics()
    tuned = read_profile(profile) if profile else None
    with ThreadPoolExecutor(1, "load") as pool:  # the engine computes while Python reads the rest of the program
        loading = pool.submit(build_classifier, settings, model, metrics.record_batch, tuned)
        from zerostart.serving.http import Gate, run_server
        from zerostart.serving.model_server import ModelServer
    classifier, gate = loading.result(), Gate()
    app = ModelServer(classifier, metrics, gate, settings.max_body_bytes).app()
    try:
        run_server(
            app,
            gate,
            grace_s=settings.drain_grace_s,
            on_ready=lambda address: print(f"{model} takes invocations on {address}", flush=True),  # noqa: T201
            socket_path=socket,
            host=host,
            port=port,
        )
    finally:
        classifier.close()
        if socket is not None:
            socket.unlink(missing_ok=True)
