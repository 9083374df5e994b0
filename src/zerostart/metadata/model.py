"""Models: a name, and the artefact that it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from zerostart.metadata.rows import Page, PageRequest, insert_named, read_page
from zerostart.metadata.tables import models


@dataclass(frozen=True)
class Model:
    """A created model. `asked` holds the accepted request in AWS's words, to be shown again.

    `profile` is the JSON of the profile that it answers by.
    """

    name: str
    model_id: str
    asked: Mapping[str, Any]
    created_at: datetime
    profile: str | None = None


def insert_model(connection: Connection, model: Model) -> bool:
    """Add a row; False if the name is taken."""
    values = {
        "name": model.name,
        "model_id": model.model_id,
        "asked": dict(model.asked),
        "created_at": model.created_at,
        "profile": model.profile,
    }
    return insert_named(connection, models, values)


def get_model(connection: Connection, name: str) -> Model | None:
    """The model of that name."""
    row = connection.execute(select(models).where(models.c.name == name)).one_or_none()
    return _model(row) if row else None


def list_models(connection: Connection, request: PageRequest) -> Page[Model]:
    """One page of models."""
    return read_page(connection, models, request, _model)


def delete_model(connection: Connection, name: str) -> bool:
    """Remove a row; False if there was none."""
    return connection.execute(delete(models).where(models.c.name == name)).rowcount == 1


def _model(row: Row[Any]) -> Model:
    return Model(row.name, row.model_id, row.asked, row.created_at, row.profile)
