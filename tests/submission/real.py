"""A real bundle: a small network that really ran on real digits, in a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ssl_bench import __version__, rounds, sketching
from ssl_bench.environment import source_digest
from ssl_bench.files import digest_file
from ssl_bench.jobs import Request, expand
from ssl_bench.progress import choose
from ssl_bench.results.record import Record
from ssl_bench.results.samples import read_bytes
from ssl_bench.results.store import Results
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.submission import assembly, sketch
from ssl_bench.submission.assembly import Measured
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.manifest import Harness

CARD = """name = "{name}"
organisation = "A Lab"
contact = "lab@example.org"
licence = "Apache-2.0"
weights = "https://example.org/digits_vit.safetensors"
sha256 = "{sha256}"
data = ["the training digits of the task digits"]
labels_used = false

[contamination]
digits = "the training images, without labels"
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
        sketched: Callable[[sketch.Sketch], sketch.Sketch] = lambda one: one,
    ) -> Bundle:
        """Return the bundle of records, with the sketches of the features that this submitter's network makes."""
        round, store = rounds.current("quick", self.settings), Results(self.settings.results)
        records = [dataclasses.replace(one, code={**one.code, "dirty": False}) for one in records]
        made = sketching.sketches(records, round.tasks, self.settings)
        return assembly.assemble(
            Measured(
                records,
                {one.samples.sha256: read_bytes(store.files, one.samples) for one in records},
                {name: sketched(one) for name, one in made.items()},
            ),
            round.asked,
            Harness(__version__, source_digest()),
            card=CARD.format(name=records[0].model.name, sha256=digest_file(WEIGHTS)).encode(),
            lock="numpy==2.0.0\n",
            invocation=("ssl-bench", "submit"),
            created="2026-03-01T00:00:00Z",
        )


def submitter(folder: Path, cache: Path, model: str = "digits_vit") -> Submitter:
    """Return somebody with an empty store in `folder`; features are shared in `cache`."""
    return Submitter(Settings(cache=cache, results=folder / "results", device="cpu", progress="none"), model)
