"""The model server's answers when its engine fails; good and bad requests are tested on a real process."""

from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from tests.tiny_models import weightless_artefact
from zerostart.bootstrap.classifier import build_scorer
from zerostart.engines.base import EncodedBatch, Logits
from zerostart.metrics import ModelServerMetrics
from zerostart.serving.batcher import Batcher, BatchLimits
from zerostart.serving.classifier import Classifier
from zerostart.serving.http import Gate
from zerostart.serving.model_server import ModelServer

QUESTION = {"inputs": "a text", "candidate_labels": ["travel", "cooking"]}


class MortalEngine:
    """Computes until it is told to die, as a device that falls off the bus."""

    name = "mortal"
    precision = "fp32"
    streams = 1
    dead = False

    def logits(self, batch: EncodedBatch) -> Logits:
        if self.dead:
            raise RuntimeError("the device is gone")
        return np.zeros((batch.pairs, 3), dtype=np.float32)

    def close(self) -> None:
        """Nothing to give back."""


def test_an_engine_that_dies_turns_ping_red_and_later_requests_away(tmp_path: Path) -> None:
    artefact = weightless_artefact(tmp_path / "models" / "tiny")
    scorer = build_scorer(artefact)
    tokenizer = scorer.tokenizer
    engine = MortalEngine()
    special = tokenizer.template.special_tokens
    batcher = Batcher(engine, tokenizer.batch, special_tokens=special, limits=BatchLimits())
    classifier = Classifier(artefact, scorer, batcher)
    client = TestClient(ModelServer(classifier, ModelServerMetrics(), Gate(), 1_000_000).app())
    assert client.get("/ping").status_code == 200
    assert client.post("/invocations", json=QUESTION).status_code == 200
    engine.dead = True
    for _ in range(2):
        reply = client.post("/invocations", json=QUESTION)
        assert reply.status_code == 500
        assert "the device is gone" in reply.text
    ping = client.get("/ping")
    assert ping.status_code == 503
    assert "the device is gone" in ping.text
    classifier.close()
