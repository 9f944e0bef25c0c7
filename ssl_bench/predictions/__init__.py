"""What protocols say of a test set: one type per way of asking. Metrics score each against labels that the harness
alone holds (`Truth`), and the store keeps each, sample by sample."""

from ssl_bench.predictions.base import (
    Classes,
    Clusters,
    Episodic,
    Judgements,
    Multilabel,
    Predictions,
    Quantities,
    Rankings,
    Shifted,
    Truth,
)
from ssl_bench.predictions.masks import LabelMaps, Overlaps
from ssl_bench.predictions.objects import Detections, Found, Matches
from ssl_bench.predictions.surfaces import DirectionErrors, DirectionMaps, DistanceErrors, DistanceMaps

__all__ = [
    "Classes",
    "Clusters",
    "Detections",
    "DirectionErrors",
    "DirectionMaps",
    "DistanceErrors",
    "DistanceMaps",
    "Episodic",
    "Found",
    "Judgements",
    "LabelMaps",
    "Matches",
    "Multilabel",
    "Overlaps",
    "Predictions",
    "Quantities",
    "Rankings",
    "Shifted",
    "Truth",
]
