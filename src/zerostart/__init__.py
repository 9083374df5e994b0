"""Zero-shot text classification as a service you run yourself.

`pipeline("zero-shot-classification")` runs in this process; `zerostart serve` gives endpoints that speak
SageMaker's API.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zerostart.pipelines import pipeline as pipeline

__version__ = "0.1.0"
__all__ = ["__version__", "pipeline"]


def __getattr__(name: str) -> Any:
    """Load the pipeline, and with it numpy and tokenizers, only when it is asked for."""
    if name == "pipeline":
        from zerostart.pipelines import pipeline

        return pipeline
    raise AttributeError(f"module 'zerostart' has no attribute {name!r}")
