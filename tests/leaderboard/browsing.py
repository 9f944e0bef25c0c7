"""A page in the system's Chromium, and whatever it must not do: load, fail, or break its own policy."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = os.environ.get("SSL_BENCH_BROWSER") == "required"


def _missing(what: str) -> None:
    """Skip the test by name of what is missing, or fail it where the environment says that a browser is required."""
    if REQUIRED:
        pytest.fail(f"{what} is missing and SSL_BENCH_BROWSER=required; install it (`.ci/run` shows how)")
    pytest.skip(f"{what} is missing")


def package(name: str) -> Any:
    """Return an imported module of a package that these tests need."""
    try:
        return importlib.import_module(name)
    except ImportError:
        _missing(f"the package {name.partition('.')[0]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, one for all tests of a process."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        _missing("chromium")
    with package("playwright.sync_api").sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


class Visitor:
    """Opens pages without a network, and knows what they asked for and what they complained of."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self._contexts: list[Any] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def open(self, page: str | Path, address: str = "", **options: Any) -> Any:
        """Return a tab with a page, given as its text or its path; `address` is what follows it in the address."""
        if isinstance(page, str):
            path = self._folder / f"page{len(self._contexts)}.html"
            path.write_text(page, encoding="utf-8")
        else:
            path = page
        context = self._browser.new_context(**{"viewport": {"width": 1400, "height": 900}} | options)
        self._contexts.append(context)
        context.set_default_timeout(10_000)
        context.route("**/*", lambda route: self._decide(route, path.as_uri()))
        tab = context.new_page()
        tab.on("console", lambda said: self._note(said.type, said.text))
        tab.on("pageerror", lambda error: self.complaints.append(f"pageerror: {error}"))
        tab.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        tab.goto(path.as_uri() + address)
        return tab

    def _decide(self, route: Any, own: str) -> None:
        if route.request.url.partition("#")[0] == own:
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    def close(self) -> None:
        """Close what was opened."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def visitor(browser: Any, tmp_path: Path) -> Iterator[Visitor]:
    """Opens pages; the test fails where one loads anything, fails, or breaks its own policy."""
    visitor = Visitor(browser, tmp_path)
    yield visitor
    visitor.close()
    assert visitor.requests == []
    assert visitor.complaints == []
