"""What a record consists of. `ssl-bench schema record` prints these types, with their sentences, as JSON Schema.

Version 1.1 added what is marked `LATER`, and the described keys of free mappings that the version 1 did not write.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from ssl_bench.json_schema import Limits
from ssl_bench.results.blocks import LATER, Amount, Block, Count, Whole, joined, text_of

Sha256 = Annotated[str, Limits(pattern="^[0-9a-f]{64}$")]


class About(TypedDict, total=False):
    """What a model's authors, or whoever wrote its card, declare; nobody can check it."""

    paper: str
    code: str
    data: str
    """What it was pretrained on, and with which labels."""
    labels_used: bool | None
    """Whether pretraining saw labels; null where that is not known."""
    licence: str
    """Of the weights."""
    note: str


@dataclasses.dataclass(frozen=True)
class Model(Block):
    """What was measured."""

    name: str
    title: str
    adapter: str
    """The way in which the network was got, and so what loaded it; `library` says with which version."""
    weights_digest: str
    """sha256 over the (name, dtype, shape, bytes) of the network's tensors, sorted by name."""
    arch: Mapping[str, Any]
    """Plain values that name the architecture beyond the tensors."""
    parameters: Count
    """Number of the network's parameters."""
    embed_dim: Count
    """Length of the feature; 0 where no feature was taken."""
    source: str = ""
    """Where the weights file can be had."""
    file_sha256: str = ""
    """sha256 of the weights file; empty where there is none."""
    library: str = ""
    about: Annotated[Mapping[str, Any], About] = dataclasses.field(default_factory=dict)
    """Declared pretraining, licence and source, from the model's card."""


class Resolved(TypedDict, total=False):
    """What a feature came from."""

    input: Mapping[str, Any]
    """size (height, width in pixels), resize, resize_to (pixels), interpolation, channels, mean and std per channel."""
    pooled: str
    """Name of the pooling that was used."""
    precision: str
    """Of the arithmetic inside the network."""


@dataclasses.dataclass(frozen=True)
class FeaturesBlock(Block):
    """Which features were asked for and which were used."""

    requested: Mapping[str, Any]
    """{"pooled": "default" or a name} and what else was prescribed; boards and comparisons group on it."""
    resolved: Annotated[Mapping[str, Any], Resolved]


@dataclasses.dataclass(frozen=True)
class MetricDefinition(Block):
    """How a metric's number is to be read."""

    unit: str
    """"fraction" for shares and their means (0.812 is 81.2 %), else the unit's name."""
    higher_is_better: bool
    low: float
    """Least value that the metric can have."""
    high: float
    """Largest value that the metric can have."""
    chance: float | None
    """What guessing uniformly at random gives, where that is a number."""
    ceiling: float | None = dataclasses.field(default=None, metadata=LATER)
    """Best value that can be reached on this task: the metric's best, unless the task's card states a nearer bound."""


@dataclasses.dataclass(frozen=True)
class LabelMap(Block):
    """What the numbers in the columns `target` and `pred` mean."""

    sha256: Sha256
    """sha256 of the canonical JSON list of all class names, by label."""
    names: tuple[str, ...]
    """Class names by label; empty above 100 classes, where data or card hold them."""


@dataclasses.dataclass(frozen=True)
class Task(Block):
    """What was asked of the data."""

    name: str
    title: str
    version: Whole
    kind: str
    classes: Count
    digest: str
    """sha256 over the content, ids, labels and order of every split, and the metric."""
    samples: Mapping[str, Count]
    """Samples per split, as they were used; "test" is always among them."""
    metric: str
    """The headline metric."""
    metrics: Mapping[str, MetricDefinition]
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Where the data can be had, licence, citation, and size of the download in bytes."""
    truncated: Count = 0
    """Samples kept per split under `--limit`; 0 means all. A truncated record never enters a board."""
    ids: Mapping[str, Sha256] | None = dataclasses.field(default=None, metadata=LATER)
    """Split to the sha256 of the canonical JSON list of its sample ids, in their order."""
    labels: LabelMap | None = dataclasses.field(default=None, metadata=LATER)
    """Absent where the classes have no names."""


@dataclasses.dataclass(frozen=True)
class ProtocolBlock(Block):
    """How it was asked, and what the protocol chose on validation data."""

    name: str
    version: Whole
    recipe: Mapping[str, Any]
    """Every field of the protocol, as it was asked for."""
    deterministic: bool
    """True: another seed gives the same numbers for this recipe and task; see `results.seeds` for earlier records."""
    selected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Values that were chosen on validation data."""
    curve: tuple[Mapping[str, Any], ...] = ()
    """The validation curve: a row per candidate, in the order in which they were tried."""
    converged: bool | None = None
    """Whether the solver reached its optimum; null where there is none to reach."""
    at_grid_edge: bool | None = None
    """True: the chosen value is the first or last of its grid, so that a better one may lie outside."""

    @functools.cached_property
    def asked(self) -> str:
        """What was asked for, without what was found, as canonical JSON."""
        parts = {"name": self.name, "recipe": self.recipe, "version": self.version}
        return joined((key, text_of(value)) for key, value in parts.items())


@dataclasses.dataclass(frozen=True)
class Interval(Block):
    """An interval for a metric's value, in the metric's unit."""

    low: float
    high: float
    level: Annotated[float, Limits(0, 1)]
    """Share of repetitions in which such an interval holds the true value: 0.95."""
    method: str


@dataclasses.dataclass(frozen=True)
class MetricValue(Block):
    """One measured number."""

    value: float
    n: Count
    """Test samples behind it, or episodes."""
    interval: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Samples(Block):
    """Where the per-sample predictions lie: `samples/<aa>/<sha256>.parquet` under the results root."""

    sha256: str
    n: Count
    """Rows of the file."""
    columns: tuple[str, ...]


class Environment(TypedDict, total=False):
    """What ran it."""

    python: str
    platform: str
    cpu: str
    cores: Count
    threads: Count
    device: str
    cuda: str
    cudnn: Count
    tf32: bool
    """Whether matrix products in float32 might be rounded to TensorFloat-32."""
    batch_size: Count
    """Images per forward pass; fewer where memory ran out."""
    compiled: bool
    decoder: str
    packages: Mapping[str, str]
    """Package to version; empty where it is not installed."""


class Code(TypedDict, total=False):
    """Which ssl-bench."""

    version: str
    commit: str
    """Of git; absent outside a checkout."""
    dirty: bool
    """Whether the files that can change a number differed from the commit."""


class Cost(TypedDict, total=False):
    """What the job took; a cost that could not be measured is absent. Enters no identity."""

    download_seconds: Amount
    """What downloading weights and data took, where `ssl-bench fetch` did it."""
    extract_seconds: Amount
    """What passing images through the network took, decoding included."""
    protocol_seconds: Amount
    """What fitting and predicting took, without the extraction."""
    images_extracted: Amount
    """Images that passed the network."""
    images_cached: Amount
    """Images whose features were read from the cache."""
    images_per_second: Amount
    """Of the extraction; 0 where nothing was extracted."""
    images_trained: Amount
    """Images that passed the network forwards and backwards, in the run that is reported."""
    train_seconds: Amount
    """What training took, decoding included and evaluations not, over all sittings."""
    trained_per_second: Amount
    """Images that were trained on, per second."""
    peak_memory_mb: Amount
    """Most resident memory that the process has held until then, in 10^6 bytes."""
    peak_vram_mb: Amount
    """Most device memory that torch held for tensors during the job, in 10^6 bytes."""
    flops_per_image: Amount
    """Floating-point operations of one image's forward pass: two per multiply-add, of products, convolutions and
    attention alone, as torch.utils.flop_counter counts them."""
    cpu_joules: Amount
    """Energy of all processor packages during the job (RAPL), whatever else ran on them."""
    gpu_joules: Amount
    """Energy of the GPU during the job (NVML), whatever else ran on it."""
