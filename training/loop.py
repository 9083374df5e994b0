"""The training loop: fused AdamW, a warm-up and a linear decay, averaged weights, and checkpoints to go on from."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Batch = Any
BF16 = False  # quicker than float32 where the CPU multiplies bf16, slower where it does not


def precision() -> torch.autocast:
    """The precision of a forward pass."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16)


@dataclass(frozen=True)
class Schedule:
    """How far the weights move: `rate` is reached after `warm_up` of the steps and falls to a twentieth at the end."""

    rate: float
    warm_up: float = 0.05
    weight_decay: float = 0.01
    average_steps: int = 200

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step."""
        rise = (step + 1) / max(1.0, self.warm_up * steps)
        fall = 1 - 0.95 * step / steps
        return self.rate * min(rise, 1.0) * fall


class Average:
    """An exponential average of a model's weights, over about `steps` steps."""

    def __init__(self, model: torch.nn.Module, steps: int) -> None:
        self.weights = {name: each.detach().clone() for name, each in model.state_dict().items()}
        self._steps = steps

    def add(self, model: torch.nn.Module, step: int) -> None:
        """Move towards the model's weights; faster in the beginning."""
        share = 1 / min(self._steps, step + 1)
        for name, each in model.named_parameters():
            if each.requires_grad:
                self.weights[name].lerp_(each.detach(), share)


def train(
    model: torch.nn.Module,
    batches: Sequence[Batch],
    loss_of: Callable[[Batch], torch.Tensor],
    schedule: Schedule,
    checkpoint: Path,
    minutes: float = math.inf,
    checkpoint_s: float = 180,
) -> bool:
    """Train from the last checkpoint; leaves the averaged weights in the model. False if `minutes` ended it before."""
    optimizer = torch.optim.AdamW(model.parameters(), schedule.rate, weight_decay=schedule.weight_decay, fused=True)
    average = Average(model, schedule.average_steps)
    first = _resumed(checkpoint, model, optimizer, average)
    steps, started_s = len(batches), time.monotonic()
    saved_s, running = started_s, math.nan
    model.train()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step, steps)
        loss = loss_of(batches[step])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.add(model, step)
        running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
        now_s = time.monotonic()
        over = now_s - started_s > 60 * minutes
        if over or now_s - saved_s > checkpoint_s:
            saved_s = now_s
            _save(checkpoint, step + 1, model, optimizer, average)
            left_min = (now_s - started_s) / (step + 1 - first) * (steps - step - 1) / 60
            print(
                f"step {step + 1} of {steps}, loss {running:.3f}, {left_min:.0f} min left", file=sys.stderr, flush=True
            )
        if over:
            break
    else:
        _save(checkpoint, steps, model, optimizer, average)
    model.load_state_dict(average.weights)
    return not steps or _step_of(checkpoint) == steps


def _resumed(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: Average) -> int:
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    average.weights = saved["average"]
    print(f"going on from step {saved['step']}", file=sys.stderr, flush=True)
    return int(saved["step"])


def _save(path: Path, step: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer, average: Average) -> None:
    """All or nothing: a checkpoint that is being written is another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(
        {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.weights},
        part,
    )
    part.replace(path)


def _step_of(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["step"])
