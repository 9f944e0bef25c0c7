"""A real bundle: a small network that really ran on real digits, in a second."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from ssl_bench.files import digest_file
from ssl_bench.jobs import Request, expand
from ssl_bench.progress import choose
from ssl_bench.results.record import Record
from ssl_bench.results.samples import read_bytes
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.submission import bundle as bundles
from ssl_bench.submission import sketch
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.manifest import Asked, Harness
from tests.results.factory import sha

CARD = """name = "{name}"
organisation = "A Lab"
contact = "lab@example.org"
licence = "Apache-2.0"
weights = "https://example.org/digits_vit.safetensors"
sha256 = "{sha256}"
data = ["the training digits of the task digits"]
labels_used = false
"""
WEIGHTS = Path(__file__).parents[2] / "model_zoo" / "digits_vit.safetensors"


@dataclasses.dataclass(frozen=True, eq=False)
class Submitter:
    """Somebody with a model, records and a place for them."""

    settings: Settings
    model: str = "digits_vit"

    def run(self, protocols: tuple[str, ...] = (), seeds: tuple[int, ...] = ()) -> list[Record]:
        """Measure the model on the suite quick."""
        request = Request((self.model,), suite="quick", protocols=protocols, seeds=seeds)
        outcome = self.runner.run(expand(request, self.settings))
        assert not outcome.failures
        return [*outcome.present, *outcome.written]

    @property
    def runner(self) -> Runner:
        return Runner(self.settings, choose("none"))

    def bundle(
        self,
        records: list[Record],
        *,
        name: str = "",
        predictions: Mapping[str, bytes] | None = None,
        sketched: Callable[[sketch.Sketch], sketch.Sketch] = lambda one: one,
    ) -> Bundle:
        """Return the bundle of records, with the sketches of the features that this submitter's network makes."""
        runner, sketches = self.runner, {}
        (job,) = expand(Request((self.model,), tasks=("digits",), protocols=("knn",)), self.settings)
        features = runner.trial(job).supply.features("test", "", "")
        for record in records:
            sketches[sketch.name(record)] = sketched(sketch.make(features, runner.data(job).digests["test"]))
        held = {one.samples.sha256: read_bytes(runner.results.files, one.samples) for one in records if not predictions}
        return bundles.make(
            records,
            predictions or held,
            sketches,
            suite=Asked("quick", 1, sha("round")),
            harness=Harness("0.1.0", sha("code")),
            card=CARD.format(name=name or records[0].model.name, sha256=digest_file(WEIGHTS)).encode(),
            lock="numpy==2.0.0\n",
            attest=json.dumps({"_type": "https://in-toto.io/Statement/v1"}).encode(),
            signature=None,
            created="2026-03-01T00:00:00Z",
        )


def submitter(folder: Path, cache: Path, model: str = "digits_vit") -> Submitter:
    """Return somebody with an empty store in `folder`; features are shared in `cache`."""
    return Submitter(Settings(cache=cache, results=folder / "results", device="cpu", progress="none"), model)
