"""One browser for all tests of pages."""

from tests.leaderboard.browsing import browser, visitor

__all__ = ["browser", "visitor"]
