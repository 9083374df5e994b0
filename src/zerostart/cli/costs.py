"""zerostart costs: what endpoints and transform jobs used."""

import json
from typing import Annotated

import typer

from zerostart.cli.formats import bytes_shown, seconds_shown
from zerostart.cli.own_api import own_api


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(costs)


def costs(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False) -> None:
    """Show what each endpoint and transform job used: instance-seconds, and memory over time.

    Example: zerostart costs

    Example: zerostart costs --json
    """
    rows = own_api("costs")["costs"]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        typer.echo("Nothing ran yet.")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "name", caption="MB-seconds: memory times how long it was held, in 10^6 bytes.")
    for heading in ("instance-seconds", "MB-seconds", "most memory"):
        table.add_column(heading, justify="right")
    table.add_column("last ran")
    for row in rows:
        figures = (f"{row['instance_s']:,.0f}", f"{row['memory_mb_s']:,.0f}", bytes_shown(row["peak_bytes"]))
        table.add_row(row["kind"], Text(row["name"]), *figures, f"{row['last_at'][:19].replace('T', ' ')} UTC")
    total_s = sum(row["instance_s"] for row in rows)
    Console().print(table)
    typer.echo(f"In all: {total_s:,.0f} instance-seconds ({seconds_shown(total_s)}).")
