"""zerostart down and zerostart delete: stop what runs, delete what exists, and prove that nothing is left."""

import sys
import time
from typing import Annotated, Any

import typer

from zerostart.cli.client import ServerRefused
from zerostart.cli.formats import bytes_shown, seconds_shown
from zerostart.cli.own_api import own_api
from zerostart.errors import InvalidInput

_POLL_S = 0.2
_LONGEST_S = 120.0
_LEAVING_S = 5.0


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(down)
    app.command()(delete)


def down(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ENDPOINT]...", help="The endpoints; all if none is named.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the instances of endpoints now, and keep the endpoints: the next call wakes each.

    Calls in flight are answered first.

    Example: zerostart down

    Example: zerostart down first --yes
    """
    chosen = _chosen(names or [])
    running = [each for each in chosen if each["processes"]]
    if not running:
        typer.echo("No instance runs.")
    else:
        _table(
            ("endpoint", "instances", "memory", "idle for"),
            [
                (each["name"], str(each["processes"]), bytes_shown(each["memory_bytes"]), seconds_shown(each["idle_s"]))
                for each in running
            ],
        )
        _ask("Stop these instances?", yes=yes)
    # Those that have none now are told too: one may be about to start.
    own_api("down", {"endpoints": [each["name"] for each in chosen]})
    _wait_until_down([each["name"] for each in chosen])
    if not names:
        _prove("instances")


def delete(
    name: Annotated[str | None, typer.Argument(metavar="--all", hidden=True)] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every endpoint, endpoint config, model, transform job, evaluation and their logs."),
    ] = False,
    buckets: Annotated[
        bool, typer.Option("--buckets", help="The buckets too, with every object. Those of solutions go anyway.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete all that exists here, and prove that nothing is left; exit code 1 if something is.

    The weights of models and the ledger of costs stay.

    Example: zerostart delete --all

    Example: zerostart delete --all --buckets --yes
    """
    if name is not None:
        raise InvalidInput(f"Everything goes, or nothing. One endpoint: zerostart endpoints delete {name}")
    if not everything:
        raise InvalidInput("Say zerostart delete --all: it lists what goes, and asks. One endpoint: endpoints delete.")
    listed = own_api("inventory")["things"]
    going = [each for each in listed if each["kind"] != "bucket" or buckets or each["solution"]]
    if going:
        _table(("kind", "name", "", "memory", "on disk"), [_row(each) for each in going])
        _ask(f"Delete these {len(going)}?", yes=yes)
        _delete(going)
    else:
        typer.echo("There is nothing to delete.")
    kept = [each for each in listed if each not in going]
    if kept:
        size = sum(each["disk_bytes"] for each in kept)
        typer.echo(f"Kept: {len(kept)} buckets, {bytes_shown(size)} (--buckets deletes them too).")
    _prove("everything-and-buckets" if buckets else "everything")


def _chosen(names: list[str]) -> list[dict[str, Any]]:
    found = own_api("endpoints")["endpoints"]
    if unknown := sorted(set(names) - {each["name"] for each in found}):
        raise InvalidInput(f"There is no endpoint {', '.join(unknown)}: zerostart endpoints list")
    return [each for each in found if not names or each["name"] in names]


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    note = ", ".join(filter(None, (each["note"], each["solution"] and f"of {each['solution']}")))
    return each["kind"], each["name"], note, bytes_shown(each["memory_bytes"]), bytes_shown(each["disk_bytes"])


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # names are no markup
    Console().print(table)


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nothing was done: give --yes, as nobody can be asked here.")
    typer.confirm(question, abort=True, err=True)


def _wait_until_down(names: list[str]) -> None:
    deadline_s = time.monotonic() + _LONGEST_S
    while left := sorted(each["name"] for each in _chosen([]) if each["processes"] and each["name"] in names):
        if time.monotonic() > deadline_s:
            raise ServerRefused(f"Instances of {', '.join(left)} still run: they answer calls, or were called again.")
        time.sleep(_POLL_S)


def _delete(going: list[dict[str, Any]]) -> None:
    """Have the server delete, and follow; it goes on if this ends."""
    clean_up = own_api("clean-ups", {"things": [{"kind": each["kind"], "name": each["name"]} for each in going]})["id"]
    typer.echo("The server deletes them, one after the other; Ctrl-C does not stop it.", err=True)
    while not (state := own_api(f"clean-ups/{clean_up}"))["done"]:
        time.sleep(_POLL_S)
    typer.echo(f"Deleted: {len(state['deleted'])} of {len(going)}.")
    for each in state["failed"]:
        typer.secho(f"Not deleted: {each['kind']} {each['name']}: {each['reason']}", fg="red")


def _prove(of: str) -> None:
    """Print what the server finds on its machine; exit code 1 if something is left, and does not go within seconds."""
    deadline_s = time.monotonic() + _LEAVING_S
    checks = own_api(f"proof?of={of}")["checks"]
    while any(check["left"] for check in checks) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
        checks = own_api(f"proof?of={of}")["checks"]
    for check in checks:
        typer.echo(f"{check['what']:<10} {len(check['left']) or 'none'} left  ({check['where']})")
        for each in check["left"]:
            typer.secho(f"           {each}", fg="red")
    if any(check["left"] for check in checks):
        raise typer.Exit(1)
