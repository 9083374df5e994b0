"""Measure what the README claims: `make bench`. Ratios are of one run, medians of at least three repeats.

python -m benchmarks [pipeline agreement endpoint cold memory size conversion sizes many_labels accuracy
decisions decision_speed evaluation service_times capacity capacity_check job job_first_record job_beside job_memory
ray_calls ray_start ray_job]
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    accuracy,
    capacity,
    conversion,
    decision_speed,
    decisions,
    endpoint,
    evaluation,
    footprint,
    models,
    on_ray,
    service_times,
    throughput,
    transform,
)

RESULTS = Path(__file__).parent / "results"
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "pipeline": throughput.against_the_pipeline,
    "agreement": throughput.agreement,
    "endpoint": endpoint.overhead_and_throughput,
    "cold": footprint.cold_start,
    "memory": footprint.peak_memory,
    "size": footprint.install_size,
    "conversion": conversion.real_size,
    "sizes": models.sizes,
    "many_labels": models.many_labels,
    "accuracy": accuracy.accuracy,
    "decisions": decisions.decisions,
    "decision_speed": decision_speed.decision_speed,
    "evaluation": evaluation.resolutions,
    "service_times": service_times.service_times,
    "capacity": capacity.capacity,
    "capacity_check": capacity.check,
    "job": transform.throughput,
    "job_first_record": transform.first_record,
    "job_beside": transform.beside,
    "job_memory": transform.memory,
    "ray_calls": on_ray.calls,
    "ray_start": on_ray.start,
    "ray_job": on_ray.job,
}


def main(names: list[str]) -> None:
    """Run the named parts, or all; print each result and keep it under benchmarks/results."""
    RESULTS.mkdir(exist_ok=True)
    for name in names or list(PARTS):
        started_s = time.monotonic()
        result = {"machine": footprint.machine(), **PARTS[name]()}
        text = json.dumps(result, indent=2)
        (RESULTS / f"{name}.json").write_text(text + "\n", "utf-8")
        print(f"== {name} ({time.monotonic() - started_s:.0f} s)\n{text}", flush=True)


main(sys.argv[1:])
