"""One browser for all tests of the folder."""

from tests.leaderboard.boards import large, real, small
from tests.leaderboard.browsing import browser, visitor

__all__ = ["browser", "large", "real", "small", "visitor"]
