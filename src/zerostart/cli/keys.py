"""zerostart keys: access keys for other people and programs, each with a role."""

import json
from datetime import datetime
from typing import Annotated

import typer

from zerostart.cli.client import variables
from zerostart.cli.endpoints import Format
from zerostart.credentials import (
    AccessKey,
    Role,
    create_access_key,
    read_access_keys,
    read_credentials,
    revoke_access_key,
)
from zerostart.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        help="Access keys for others: admin, deploy (models, endpoints, jobs, buckets) or invoke (named endpoints).",
        no_args_is_help=True,
    )
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(
    name: Annotated[str, typer.Argument(help="What to call the key: who or what it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    endpoint: Annotated[
        list[str] | None, typer.Option(help="An endpoint that a key of role invoke may ask; repeat it.")
    ] = None,
) -> None:
    """Make an access key and print it; it is valid at once. The secret is shown this once.

    Example: zerostart keys create website --role invoke --endpoint first
    """
    settings = load_settings()
    read_credentials(settings.credentials_path)  # says so if this home folder is no installation's
    key = create_access_key(settings.access_keys_path, name, role, endpoint or ())
    for variable, value in variables(settings, key).items():
        typer.echo(f"export {variable}='{value}'")
    typer.echo(f"Key {name} is valid. Its secret, which is also its bearer key, is not shown again.", err=True)


def list_keys(
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """List the keys, without their secrets.

    Example: zerostart keys list
    """
    from zerostart.services.access_key import read_key_uses

    settings = load_settings()
    keys = [read_credentials(settings.credentials_path), *read_access_keys(settings.access_keys_path)]
    uses = read_key_uses(settings.key_uses_path)
    if output_format is Format.JSON:
        typer.echo(json.dumps([_shown(key, uses.get(key.access_key_id)) for key in keys], indent=2))
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("key", Column("access key id", no_wrap=True), "role", "endpoints", "created (UTC)", "last used (UTC)")
    for key in keys:
        times = (_time_shown(key.created_at), _time_shown(uses.get(key.access_key_id)))
        table.add_row(key.name, key.access_key_id, key.role, ", ".join(key.endpoints), *times)
    Console().print(table)


def revoke(name: Annotated[str, typer.Argument(help="The key's name, or its access key id.")]) -> None:
    """Revoke a key: the next request with it is refused.

    Example: zerostart keys revoke website
    """
    key = revoke_access_key(load_settings().access_keys_path, name)
    typer.echo(f"Key {key.name} ({key.access_key_id}) is revoked.")


def _time_shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _shown(key: AccessKey, used_at: datetime | None) -> dict[str, object]:
    return {
        "name": key.name,
        "access_key_id": key.access_key_id,
        "role": key.role,
        "endpoints": key.endpoints,
        "created_at": key.created_at.isoformat() if key.created_at else None,
        "last_used_at": used_at.isoformat() if used_at else None,
    }
