"""What the server of a board's folder promises, asked over a real socket."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssl_bench.errors import UsageError
from ssl_bench.leaderboard import folder, server
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.leaderboard.server import Pages, Server
from ssl_bench.results.store import Results
from tests.leaderboard.test_site import HOSTILE
from tests.results.factory import make_grid, make_model, make_record, make_task

Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[..., Answer]


def serving(pages: Pages, host: str = "127.0.0.1") -> Iterator[Server]:
    """Give a server that listens on a free port, and end it."""
    with server.open_server(host, 0, pages) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listener
        listener.shutdown()
        thread.join()


def asking(listener: Server) -> Ask:
    def ask(path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", listener.server_port, timeout=10)
        connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, content

    return ask


def files(records: list[object]) -> folder.Files:
    found = Material(make_board(records))  # type: ignore[arg-type]
    return folder.files_of(found) | folder.records_of(found.board)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask the server of a small board."""
    made = files(list(make_grid(models=2, tasks=2)))
    yield from map(asking, serving(Pages(lambda: made, lambda: "")))


def test_every_page_is_served_with_its_type_and_policy(ask: Ask) -> None:
    """Each file of the folder is there under its name, as it would be written, and none may be taken for another."""
    made = files(list(make_grid(models=2, tasks=2)))
    kinds = {"html": "text/html", "json": "application/json", "csv": "text/csv", "md": "text/markdown"}
    assert {name.rpartition(".")[2] for name in made} == set(kinds)
    for name, rendered in made.items():
        status, headers, content = ask(f"/{name}")
        assert (status, content.decode()) == (200, rendered())
        assert headers["content-type"].split(";")[0] == kinds[name.rpartition(".")[2]]
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        if name.endswith(".html"):
            (stated,) = server.POLICY.findall(content.decode())
            assert policy == f"{stated}; frame-ancestors 'none'"
    assert ask("/")[2] == ask("/board.html")[2] == ask("/board.html?view=raw")[2]


def test_a_page_that_the_browser_has_is_not_sent_again(ask: Ask) -> None:
    """The tag that came with a page is answered with 304 and nothing else; another tag with the page."""
    _, headers, content = ask("/board.html")
    tag = headers["etag"]
    for stated in (tag, f'"other", W/{tag}'):
        assert ask("/board.html", If_None_Match=stated)[::2] == (304, b"")
    assert ask("/board.html", If_None_Match='"other"')[::2] == (200, content)


def test_head_is_get_without_the_page(ask: Ask) -> None:
    """The headers are the same, the body is empty."""
    _, headers, content = ask("/models/model000.html")
    status, same, nothing = ask("/models/model000.html", "HEAD")
    assert (status, nothing) == (200, b"")
    assert same["content-length"] == headers["content-length"] == str(len(content))
    assert same["etag"] == headers["etag"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_nothing_can_be_done_but_reading(ask: Ask, method: str) -> None:
    """Every other method is refused with those that are answered."""
    status, headers, _ = ask("/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/models/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/etc/passwd%00.html",
        "/models",
        "/models/",
        "/models/model000.html/",
        "/records/",
        "/results",
        "/.git/config",
        "/board.html%0d%0aSet-Cookie:a=b",
        "http://127.0.0.1/board.html",
        "\\..\\..\\windows\\win.ini",
    ],
)
def test_no_path_leads_outside(ask: Ask, path: str) -> None:
    """What is no page's name is not found, whatever it would mean to a file system; nothing of it comes back."""
    status, headers, content = ask(path)
    assert status == 404
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert content == b"there is no such page; the board is at /\n"
    assert "set-cookie" not in headers


def test_only_this_machines_names_are_answered(ask: Ask) -> None:
    """A request under another site's name, which was made to point here, gets nothing."""
    for host in ("localhost:1", "127.0.0.1", "[::1]:8642"):
        assert ask("/", Host=host)[0] == 200
    for host in ("evil.example", "evil.example:8642", "localhost.evil.example", "127.0.0.1.nip.io"):
        assert ask("/", Host=host)[0] == 421


def test_what_is_no_request_is_refused_with_the_same_headers(ask: Ask) -> None:
    """Broken words are answered in plain text that repeats none of them, and the server goes on."""
    port = ask.__closure__[0].cell_contents.server_port  # type: ignore[attr-defined]
    for words in (b"<script> /\r\n\r\n", b"GET / HTTP/9.9.9\r\n\r\n", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(words)
            said = connection.makefile("rb").read()
        assert b"script" not in said
        assert b"nosniff" in said
    assert ask("/")[0] == 200


def test_hostile_names_are_served_under_plain_ones() -> None:
    """A model whose name climbs or breaks lines has a page all the same."""
    made = files([make_record(make_model(name), make_task(name)) for name in HOSTILE])
    for listener in serving(Pages(lambda: made, lambda: "")):
        for name in made:
            assert asking(listener)(f"/{name}")[0] == 200


# ---------------------------------------------------------------- as the records are now


def stored(place: Path) -> Pages:
    """Return the pages of a folder of records, as `ssl-bench serve` makes them."""

    def stamp() -> str:
        return repr(sorted(Results(place).files.record_files().items()))

    def made() -> folder.Files:
        return files(list(Results(place).records()))

    return Pages(made, stamp)


def test_pages_follow_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is put is on the next page, which has another tag; one that is withdrawn is gone from it."""
    monkeypatch.setattr(server, "PATIENCE", 0.0)
    results = Results(tmp_path)
    results.put(make_record("first"))
    for listener in serving(stored(tmp_path)):
        ask = asking(listener)
        _, before, page = ask("/")
        assert b"younger" not in page
        assert ask("/models/younger.html")[0] == 404
        results.put(second := make_record("younger"))
        status, after, page = ask("/", If_None_Match=before["etag"])
        assert (status, b"younger" in page) == (200, True)
        assert after["etag"] != before["etag"]
        assert ask("/models/younger.html")[0] == 200
        results.withdraw(second.record_id, "a test")
        assert ask("/models/younger.html")[0] == 404


def test_records_are_looked_at_once_a_second_and_pages_made_once(tmp_path: Path) -> None:
    """Many requests at a time cost one look at the records, and a page that nobody asks for is never made."""
    looked, made = [], []

    def page(name: str) -> Callable[[], str]:
        return lambda: made.append(name) or f"<p>{name}</p>"  # type: ignore[func-returns-value]

    pages = Pages(lambda: {name: page(name) for name in ("board.html", "other.html")}, lambda: str(looked.append(1)))
    threads = [threading.Thread(target=pages.get, args=("board.html",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(looked), made) == (1, ["board.html"])


def test_records_that_make_no_board_are_told_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there can be no board the reason is answered, as text; once there can be one, it is."""
    monkeypatch.setattr(server, "PATIENCE", 0.0)
    why: list[UsageError] = [UsageError("<b>no record is here</b>")]

    def made() -> folder.Files:
        if why:
            raise why[0]
        return {"board.html": lambda: "<p>here</p>"}

    for listener in serving(Pages(made, lambda: str(len(why)))):
        status, headers, content = asking(listener)("/")
        assert (status, content) == (503, b"<b>no record is here</b>\n")
        assert headers["content-type"].startswith("text/plain")
        why.clear()
        assert asking(listener)("/")[::2] == (200, b"<p>here</p>")


# ---------------------------------------------------------------- addresses


def test_a_port_in_use_names_a_free_one() -> None:
    """The error names the port and one that can be listened at."""
    pages = Pages(dict, str)
    for listener in serving(pages):
        with pytest.raises(UsageError, match=f"port {listener.server_port} is taken") as error:
            server.open_server("127.0.0.1", listener.server_port, pages)
        free = int(str(error.value).rpartition("--port ")[2].split()[0])
        server.open_server("127.0.0.1", free, pages).server_close()
    with pytest.raises(UsageError, match="no address of this machine"):
        server.open_server("no-such-host.invalid", 0, pages)


def test_it_knows_whether_others_can_ask() -> None:
    """A loopback address is this machine's alone; every other is not, and asks for no name."""
    with server.open_server("127.0.0.1", 0, Pages(dict, str)) as listener:
        assert listener.local
        assert listener.url == f"http://127.0.0.1:{listener.server_port}/"
    with server.open_server("0.0.0.0", 0, Pages(dict, str)) as listener:
        assert not listener.local
        assert listener.answers_to("board.example.org")
