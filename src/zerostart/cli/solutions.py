"""zerostart solutions: launch an example as a whole, look at it, and delete it again."""

import base64
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from zerostart.cli.client import ServerRefused
from zerostart.cli.own_api import ServerGone, own_api
from zerostart.errors import InvalidInput
from zerostart.solutions.labelled_csv import LARGEST_BYTES
from zerostart.solutions.launchable import SOLUTIONS, solution_of

_POLL_S = 0.3
_MARKS = {"done": "\N{CHECK MARK}", "running": "\N{MIDDLE DOT}", "failed": "\N{BALLOT X}", "waiting": " "}
_NAMES = ", ".join(each.name for each in SOLUTIONS)
SolutionName = Annotated[str, typer.Argument(metavar="SOLUTION", help=f"Which one: {_NAMES}.")]
LaunchName = Annotated[str, typer.Option("--name", help="The launch, where it has another name than the solution.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Launch an example as a whole: data, endpoint, batch job, report.")
    group.command("list")(list_solutions)
    group.command("launch")(launch_solution)
    group.command("show")(show_solution)
    group.command("delete")(delete_solution)
    app.add_typer(group, name="solutions")


def list_solutions(as_json: AsJson = False) -> None:
    """List what can be launched, and what is.

    Example: zerostart solutions list
    """
    found = own_api("solutions")["solutions"]
    if as_json:
        _print_json(found)
        return
    for each in found:
        typer.echo(f"{each['name']}\n  {each['title']}: {each['summary']}")
        if not each["launches"]:
            typer.echo(f"  Not launched: zerostart solutions launch {each['name']}")
        for launch in each["launches"]:
            typer.echo(f"  {launch['name']}: {_status(launch)}")


def launch_solution(
    solution: SolutionName,
    data: Annotated[
        Path | None, typer.Option(help="Your own CSV file with texts and categories; the shipped sample if left out.")
    ] = None,
    model: Annotated[str, typer.Option(help="Model id; 'zerostart models list' shows those here.")] = "",
    name: Annotated[str, typer.Option(help="A name of its own, to have several launches beside each other.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make bucket, model, endpoint and batch job of a solution, run them, and write a report.

    Everything it makes carries the tag zerostart:solution, and 'solutions delete' removes exactly that. If something
    ends it half-way, launch it again: it goes on with what is missing. Ctrl-C does not stop it: the server goes on.

    Example: zerostart solutions launch zero-shot-text-classification

    Example: zerostart solutions launch zero-shot-text-classification --data New-years-resolutions-DFE.csv --name tweets
    """
    solution_of(solution)
    asked: dict[str, Any] = {"name": name, "model": model}
    if data is not None:
        asked |= {"data": base64.b64encode(_content(data)).decode(), "data_name": str(data)}
    before = {each["name"]: each for each in _launches(solution)}
    state = own_api(f"solutions/{quote(solution, safe='')}", asked)
    if before.get(state["name"], {}).get("status") == "launched" and state["status"] == "launched":
        typer.echo(f"{state['name']} is launched already.", err=True)
    elif state["name"] in before:
        typer.echo(f"{state['name']} goes on with what is missing.", err=True)
    for reason, count in state["left_out"].items():
        typer.echo(f"{count:,} rows were left out: {reason}.", err=True)
    state = _followed(state)
    if as_json:
        _print_json(state)
    elif state["status"] == "launched":
        _print_launched(state)
    if state["status"] != "launched":
        raise ServerRefused(_stopped(state))


def show_solution(solution: SolutionName, name: LaunchName = "", as_json: AsJson = False) -> None:
    """Show how far a launch is, what it made, and what came out.

    Example: zerostart solutions show zero-shot-text-classification
    """
    state = _show(solution, name)
    if as_json:
        _print_json(state)
        return
    typer.echo(f"{state['name']}: {_status(state)}")
    for step in state["steps"]:
        _print_step(step)
    if state["status"] == "launched":
        _print_launched(state)
    elif state["status"] in {"failed", "interrupted"}:
        typer.echo(_stopped(state))


def delete_solution(
    solution: SolutionName,
    name: Annotated[str, typer.Option(help="One launch; all launches of the solution if left out.")] = "",
    with_own_objects: Annotated[
        bool, typer.Option("--with-own-objects", help="Also the objects that you put into its bucket.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete exactly what a launch made, and say what was removed.

    What others made stays. Objects that you put into its bucket are named, and go only if you say so.

    Example: zerostart solutions delete zero-shot-text-classification
    """
    solution_of(solution)
    found = _removals(solution, name)
    if not found:
        raise InvalidInput(f"{name or solution} is not launched: there is nothing to delete.")
    things = [each for removal in found for each in removal["things"]]
    for each in things:
        typer.echo(f"{each['kind']:<16} {each['name']}")
    others = [f"s3://{each['bucket']}/{key}" for each in found for key in each["others"]]
    if others:
        typer.echo("The solution did not write these objects in its bucket:")
        for each in others:
            typer.echo(f"  {each}")
    _ask(f"Delete these {len(things)}?", yes=yes)
    if others and not with_own_objects and not yes:
        with_own_objects = typer.confirm(
            f"Also delete your {len(others)} objects? If not, the bucket stays with them.", err=True
        )
    _delete(solution, name, with_own_objects=with_own_objects, kept=bool(others) and not with_own_objects)


def _delete(solution: str, name: str, *, with_own_objects: bool, kept: bool) -> None:
    """Have the server delete, follow, and look at what is left."""
    begun = own_api(f"solutions/{quote(solution, safe='')}/delete", {"name": name, "with_others": with_own_objects})
    while not (state := own_api(f"clean-ups/{begun['id']}"))["done"]:
        time.sleep(_POLL_S)
    for each in state["deleted"]:
        typer.echo(f"Removed: {each['kind']} {each['name']}")
    left = [each for each in state["failed"] if not (kept and each["kind"] == "bucket")]
    for each in state["failed"]:
        word = "Not removed" if each in left else "Kept"
        typer.secho(f"{word}: {each['kind']} {each['name']}: {each['reason']}", fg="red" if each in left else None)
    still = [each for removal in _removals(solution, name) for each in removal["things"]]
    typer.echo(f"With the tag zerostart:solution={solution}: {len(still) or 'none'} left.")
    if left or still:
        raise typer.Exit(1)


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InvalidInput(f"{path} has over {LARGEST_BYTES:,} bytes: give a part of it.")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def _followed(state: dict[str, Any]) -> dict[str, Any]:
    """The state when the launch does not go on any more; each step is printed when it is done."""
    shown: set[str] = set()
    while True:
        for step in state["steps"]:
            if step["status"] in {"done", "failed"} and step["step"] not in shown:
                shown.add(step["step"])
                _print_step(step, err=True)
        if state["status"] != "running":
            return state
        time.sleep(_POLL_S)
        try:
            state = _show(state["solution"], state["name"])
        except ServerGone as error:
            raise ServerGone(
                f"{error}. Start it, and launch the solution again: it goes on with what is missing."
            ) from error


def _print_step(step: dict[str, Any], *, err: bool = False) -> None:
    detail = f"  {step['detail']}" if step["detail"] else ""
    typer.echo(f"  {_MARKS[step['status']]} {step['title']}{detail}", err=err)


def _print_launched(state: dict[str, Any]) -> None:
    if call := state["first_call"]:
        typer.echo(f"First call: {call['text']!r}: {call['label']} ({call['score']:.2f})")
    typer.echo(f"Endpoint:   {state['name']}   (zerostart endpoints list)")
    typer.echo(f"Batch job:  {state['name']}")
    typer.echo(f"Bucket:     s3://{state['bucket']}")
    if state["accuracy"] is None:
        measured = "not measured: it says what to install"
    else:
        measured = f"{state['rows']:,} texts, accuracy {state['accuracy']:.1%}, macro-F1 {state['macro_f1']:.3f}"
    typer.echo(f"Report:     {state['report']}   ({measured})")
    typer.echo(
        f"In the browser: zerostart ui, then Solutions. Delete it: zerostart solutions delete {state['solution']}"
    )


def _status(state: dict[str, Any]) -> str:
    done = sum(step["status"] == "done" for step in state["steps"])
    steps = f", {done} of {len(state['steps'])} steps" if state["status"] != "launched" else ""
    return f"{state['status']}{steps}, model {state['model']}, bucket s3://{state['bucket']}"


def _stopped(state: dict[str, Any]) -> str:
    option = "" if state["name"] == state["solution"] else f" --name {state['name']}"
    again = f"go on with it: zerostart solutions launch {state['solution']}{option}"
    failed = next((step for step in state["steps"] if step["status"] == "failed"), None)
    if failed is None:
        return f"The launch {state['name']} is {state['status']}; {again}"
    return f"{state['name']}, step “{failed['title']}”: {state['reason']} Mend that, and {again}"


def _launches(solution: str) -> list[dict[str, Any]]:
    found = own_api("solutions")["solutions"]
    return [launch for each in found if each["name"] == solution for launch in each["launches"]]


def _show(solution: str, name: str) -> dict[str, Any]:
    return own_api(f"solutions/{quote(solution, safe='')}?{urlencode({'name': name})}")


def _removals(solution: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = own_api(f"solutions/{quote(solution, safe='')}/removal?{urlencode({'name': name})}")[
        "removals"
    ]
    return found


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nothing was done: give --yes, as nobody can be asked here.")
    typer.confirm(question, abort=True, err=True)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
