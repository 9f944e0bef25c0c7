"""Small images of test samples for the pages of tasks, from the data on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ssl_bench import tasks
from ssl_bench.errors import SslBenchError
from ssl_bench.files import digest_json
from ssl_bench.results.record import Record
from ssl_bench.settings import Settings

if TYPE_CHECKING:
    from ssl_bench.leaderboard.material import Images


def images_of(settings: Settings) -> Images:
    """Return what finds the images of a record's samples as `data:` addresses.

    It finds none where the data is not here, or where its test split has other samples than the record's: an image of
    another dataset under a record's words would be worse than none.
    """

    def images(record: Record, ids: Sequence[str]) -> Mapping[str, str]:
        from ssl_bench import datasets, look

        try:
            split = datasets.load(tasks.get(record.task.name, settings.shelves), settings.data)["test"]
        except SslBenchError:
            return {}
        if digest_json(list(split.ids)) != (record.task.ids or {}).get("test"):
            return {}
        places = {one: place for place, one in enumerate(split.ids)}
        return {one: look.thumbnail(split, places[one]) for one in ids}

    return images
