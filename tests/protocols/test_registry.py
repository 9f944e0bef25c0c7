"""The folder of protocols is their registry."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from ssl_bench import protocols
from ssl_bench.errors import UsageError


def test_names_are_files() -> None:
    """A protocol's id is its module's name; `base` is not one."""
    assert {"knn", "logistic_regression"} <= set(protocols.names())
    assert "base" not in protocols.names()


def test_defaults() -> None:
    """A bare name gives the published recipe."""
    assert protocols.recipe(protocols.get("knn")) == {
        "k": 20,
        "also": [10, 100, 200],
        "temperature": 0.07,
        "distance": "cosine",
        "weighting": "exponential",
    }


def test_fields_by_word() -> None:
    """Fields are written key=value after the name, and lists with a plus."""
    recipe = protocols.recipe(protocols.get("knn,k=1,also=3+5,distance=euclidean,temperature=1"))
    assert (recipe["k"], recipe["also"], recipe["distance"], recipe["temperature"]) == (1, [3, 5], "euclidean", 1.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kn", "Did you mean knn?"),
        ("base", "no protocol is called 'base'"),
        ("knn,temprature=1", "Did you mean temperature?"),
        ("knn,k=many", "k must be a whole number"),
        ("knn,distance=cosin", "Did you mean cosine?"),
        ("knn,k", "is not key=value"),
        ("knn,k=0", "must be 1 or more"),
        ("knn,temperature=0", "must be above 0"),
        ("logistic_regression,holdout=1", "between 0 and 1"),
        ("logistic_regression,c_steps=0", "c_steps must be 1 or more"),
        ("logistic_regression,version=2", "has no field 'version'"),
    ],
)
def test_mistakes(text: str, says: str) -> None:
    """A wrong name, field or value is one line that names the nearest right one."""
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        protocols.get(text)
    assert "\n" not in str(caught.value)


def test_summary_is_the_first_sentence() -> None:
    """A protocol's summary is the first sentence of its module."""
    for name in protocols.names():
        assert protocols.summary(name).endswith(".")
        assert "\n" not in protocols.summary(name)
    assert protocols.summary("knn").startswith("Nearest neighbours:")


def test_recipes_need_no_torch() -> None:
    """Listing protocols and reading their recipes loads neither torch nor scikit-learn nor scipy."""
    code = (
        "import sys; from ssl_bench import protocols\n"
        "for name in protocols.names():\n  protocols.recipe(protocols.get(name)); protocols.summary(name)\n"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'faiss') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
