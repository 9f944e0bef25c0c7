"""Pages of models and tasks in a real browser: quiet, within themselves, and open to everybody."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ssl_bench import tasks
from ssl_bench.leaderboard import addresses, folder, server
from ssl_bench.leaderboard.material import Material
from tests.leaderboard.browsing import package
from tests.leaderboard.test_pages import hostile, material, scored
from tests.leaderboard.test_site import HOSTILE
from tests.results.factory import make_grid

Visit = Callable[..., Any]
SEEN = {"light": (1400, 1000), "dark": (390, 844)}
"""Colour scheme to the width and height of a window: a desk's by day, a phone's by night."""


def picture() -> str:
    """Return a small image as a `data:` address."""
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three folders of pages: a plain board, one with predictions and examples, one of hostile words."""
    card = tasks.get("digits")
    looked = scored(
        tmp_path_factory.mktemp("results"),
        tasks={"cifar10": dataclasses.replace(card, name="cifar10")},
        examples=3,
        images=lambda record, ids: dict.fromkeys(ids, picture()),
    )
    made = {"plain": material(list(make_grid(models=3, tasks=3, seeds=2))), "looked": looked, "hostile": hostile()}
    return {name: written(one, tmp_path_factory.mktemp(name)) for name, one in made.items()}


def written(one: Material, place: Path) -> Path:
    folder.write(one, place)
    return place


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Open an address; when the test ends, nothing may have been asked for elsewhere, and nothing complained of."""
    contexts, asked, said = [], [], []

    def open_page(url: str, scheme: str = "light", **options: Any) -> Any:
        width, height = SEEN[scheme]
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}") or dialog.dismiss())
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [url for url in asked if not url.startswith(("file://", "http://127.0.0.1:", "data:"))]
    assert not said


def faults(page: Any) -> list[str]:
    """Return what axe-core finds that keeps people out: rule, element and message of every serious fault."""
    axe = package("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


PAGES = [
    ("plain", addresses.of_model("model001"), "light"),
    ("plain", addresses.of_model("model001"), "dark"),
    ("plain", addresses.of_task("cifar100"), "dark"),
    ("looked", addresses.of_task("cifar10"), "light"),
    ("looked", addresses.of_task("cifar10"), "dark"),
    ("hostile", addresses.of_model(HOSTILE[1]), "light"),
    ("hostile", addresses.of_task(HOSTILE[0]), "dark"),
]


@pytest.mark.parametrize(("which", "name", "scheme"), PAGES, ids=lambda word: str(word)[:20])
def test_pages_are_open_to_everybody(visit: Visit, places: dict[str, Path], which: str, name: str, scheme: str) -> None:
    """By day and night, at a desk and on a phone, axe finds no serious fault in all that unfolds; all fits."""
    page = visit((places[which] / name).as_uri(), scheme)
    assert page.locator("h1").count() == 1
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_faults_would_be_found(visit: Visit, tmp_path: Path) -> None:
    """A page that shuts somebody out does not pass."""
    (tmp_path / "bad.html").write_text(
        '<html lang="en"><title>t</title><main><h1>a</h1><img src="data:,"></main></html>'
    )
    page = visit((tmp_path / "bad.html").as_uri())
    assert [fault.partition(":")[0] for fault in faults(page)] == ["image-alt"]


def test_pages_need_no_script(visit: Visit, places: dict[str, Path]) -> None:
    """With JavaScript off, numbers, curves, matrix and record are there, and links lead from page to page."""
    page = visit((places["plain"] / addresses.BOARD).as_uri(), java_script_enabled=False)
    page.locator('a[href="models/model001.html"]').first.click()
    assert page.locator("h1").inner_text() == "Model001"
    assert page.locator("svg.validation").count() == 3
    assert page.locator("svg.validation polyline").count() == 6
    page.locator("#records > details > summary, section > details.record > summary").first.click()
    page.locator("details.record[open] > details > summary").click()
    assert json.loads(page.locator("details.record[open] pre.json").inner_text())["model"]["name"] == "model001"
    page.locator('a[href="../tasks/dtd.html"]').first.click()
    assert page.locator("h1").inner_text() == "Describable Textures"
    page.locator("nav a").click()
    assert page.url.endswith("/board.html")


def test_a_number_leads_to_its_record(visit: Visit, places: dict[str, Path]) -> None:
    """A click on a value goes to the record that it comes from."""
    page = visit((places["plain"] / addresses.of_model("model001")).as_uri())
    page.locator("table.lines td.n a").first.click()
    fragment = page.url.partition("#")[2]
    assert page.locator(f"details.record[id='{fragment}']").is_visible()


def test_colours_tell_right_from_wrong(visit: Visit, places: dict[str, Path]) -> None:
    """The cells of a confusion matrix are shaded, right and wrong ones in different colours."""
    page = visit((places["looked"] / addresses.of_task("cifar10")).as_uri())
    colours = [
        page.locator(f"table.matrix td.{kind}").first.evaluate("(cell) => getComputedStyle(cell).backgroundColor")
        for kind in ("right", "wrong")
    ]
    assert len({*colours, "rgba(0, 0, 0, 0)"}) == 3


def test_examples_are_seen(visit: Visit, places: dict[str, Path]) -> None:
    """Images inside the page are shown under its policy."""
    page = visit((places["looked"] / addresses.of_task("cifar10")).as_uri())
    images = page.locator(".sheet img")
    assert images.count() == 6
    assert images.evaluate_all("(all) => all.every((image) => image.complete && image.naturalWidth === 8)")


def test_strangers_words_run_nothing(visit: Visit, places: dict[str, Path]) -> None:
    """Markup in every name and note is read as text; no dialog opens and no image is fetched."""
    page = visit((places["hostile"] / addresses.BOARD).as_uri())
    for name in reversed(HOSTILE):
        for address in (addresses.of_task(name), addresses.of_model(name)):
            page.goto((places["hostile"] / address).as_uri())
            assert page.locator("script").count() == page.locator("main img").count() == 0
    assert "<script>alert(1)</script>" in page.locator("main").inner_text().lower()


def test_the_same_pages_over_http(visit: Visit) -> None:
    """Served, the pages look as from the disk under the server's own policy, and the board's script runs."""
    made = folder.files_of(material(list(make_grid(models=2, tasks=2))))
    with server.open_server("127.0.0.1", 0, server.Pages(lambda: made, lambda: "")) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        page = visit(listener.url)
        assert page.locator("#tools").is_visible()
        page.goto(f"{listener.url}models/model001.html")
        colour = page.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")
        assert colour == "rgb(251, 250, 247)"
        listener.shutdown()
