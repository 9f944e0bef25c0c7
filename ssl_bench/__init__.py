"""Standardized transfer evaluation of pretrained vision backbones.

`ssl_bench.run("dinov2_vitb14", suite="vtab")` measures, `ssl_bench.Record` is what it gives, and
`ssl_bench.compare(a, b)` says what changed. All are fetched on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Record", "Results", "__version__", "compare", "run"]

if TYPE_CHECKING:
    from ssl_bench.api import run
    from ssl_bench.comparison import compare
    from ssl_bench.results.record import Record
    from ssl_bench.results.store import Results

_PLACES = {
    "Record": "ssl_bench.results.record",
    "Results": "ssl_bench.results.store",
    "compare": "ssl_bench.comparison",
    "run": "ssl_bench.api",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module on first use."""
    if name not in _PLACES:
        raise AttributeError(f"module 'ssl_bench' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
