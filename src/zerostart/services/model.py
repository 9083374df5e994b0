"""Use cases of models."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zerostart.errors import AlreadyExists, InvalidInput, NotFound
from zerostart.metadata.database import Database
from zerostart.metadata.model import Model, delete_model, get_model, insert_model, list_models
from zerostart.metadata.rows import Page, PageRequest
from zerostart.metadata.tag import delete_tags, put_tags
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts
from zerostart.services.arn import Arns
from zerostart.services.idle import idle_timeout_s
from zerostart.services.jumpstart import model_id_at
from zerostart.services.profile import profile_in
from zerostart.storage.base import ObjectStore, read_bytes


class ModelService:
    """A model is a name for an artefact that is on this machine.

    `not_isolated` says why instances are not cut off from the network; None if they are.
    """

    def __init__(
        self,
        database: Database,
        artefacts: LocalArtefacts,
        store: ObjectStore,
        arns: Arns,
        not_isolated: str | None,
    ) -> None:
        self.not_isolated = not_isolated
        self._database = database
        self._artefacts = artefacts
        self._store = store
        self._arns = arns

    def create_model(
        self,
        name: str,
        model_id: str | None,
        artefact_uri: str | None,
        asked: Mapping[str, Any],
        tags: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Create a model and return its ARN. Where no model id is given, the artefact in S3 may point to one.

        `environment` may name a profile. Raises InvalidInput when no model id was given or the profile is none,
        UnknownModel (saying how to get it) when it is not here, InvalidArtefact when it cannot be used, AlreadyExists
        for a taken name.
        """
        if asked.get("EnableNetworkIsolation") and self.not_isolated:
            raise InvalidInput(
                f"EnableNetworkIsolation cannot be true: instances are not isolated here, since {self.not_isolated}."
            )
        idle_timeout_s(asked)  # what is wrong with it is told now, and not when an endpoint is made
        if model_id is None and artefact_uri is not None:
            model_id = model_id_at(artefact_uri, self._read)
        if model_id is None:
            raise InvalidInput(
                "The model is not named: set PrimaryContainer.Environment.HF_MODEL_ID to a model id, "
                f"for example {BUILTIN_MODEL_ID!r}. Images and scripts are never run."
            )
        model_id = self._artefacts.find(model_id).model_id
        profile = profile_in(environment or {}, self._store, model_id)
        arn = self._arns.of("model", name)
        model = Model(name, model_id, asked, datetime.now(UTC), profile.compact() if profile else None)
        with self._database.transaction() as connection:
            if not insert_model(connection, model):
                raise AlreadyExists(f'Cannot create already existing model "{arn}".')
            put_tags(connection, arn, tags)
        return arn

    def _read(self, bucket: str, key: str, limit_bytes: int) -> bytes | None:
        try:
            return read_bytes(self._store, bucket, key, limit_bytes)
        except (NotFound, InvalidInput):
            return None

    def describe_model(self, name: str) -> Model:
        """The model of that name; raises NotFound."""
        with self._database.transaction() as connection:
            model = get_model(connection, name)
        if model is None:
            raise NotFound(f'Could not find model "{self._arns.of("model", name)}".')
        return model

    def list_models(self, request: PageRequest) -> Page[Model]:
        """One page of models."""
        with self._database.transaction() as connection:
            return list_models(connection, request)

    def delete_model(self, name: str) -> None:
        """Remove a model; endpoints that serve it go on. Raises NotFound."""
        arn = self._arns.of("model", name)
        with self._database.transaction() as connection:
            if not delete_model(connection, name):
                raise NotFound(f'Could not find model "{arn}".')
            delete_tags(connection, arn)
