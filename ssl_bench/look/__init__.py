"""A page to look at before measuring, or after: what a network sees of a task, what is true of it, and what is said.

The page needs no network and no script, and opens from a file.
"""

from ssl_bench.look.classes import PLAIN, Neighbours, neighbours_of, page, thumbnail

__all__ = ["PLAIN", "Neighbours", "neighbours_of", "page", "thumbnail"]
