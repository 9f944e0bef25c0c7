"""Progress goes to stderr alone, and says how much was done and how fast."""

from __future__ import annotations

import pytest

from ssl_bench import progress


def test_plain_progress_tells_count_and_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain progress says now and then how far work is and how long it takes, and at its end how much was done."""
    monkeypatch.setattr(progress.PlainProgress, "every", 0.0)
    with progress.choose("plain").track("reading", 10) as advance:
        advance(4)
        advance(6)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "reading: 4/10 images" in captured.err
    assert "s left" in captured.err
    assert "reading: 10 images in" in captured.err


def test_what_an_earlier_run_did_is_no_speed() -> None:
    """The first report, such as the steps before a kill, counts as done and not as fast."""
    speed = progress.Speed()
    assert speed.after(5000, 10.0) == 0.0
    assert speed.after(1, 12.0) == 0.5
    assert speed.after(3, 14.0) == 1.0


def test_bars_leave_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar of a terminal is drawn on stderr, never among a command's results."""
    with progress.choose("rich").track("reading", 2) as advance:
        advance(2)
    assert capsys.readouterr().out == ""


def test_no_terminal_means_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal `auto` prints lines, and `none` prints nothing."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert isinstance(progress.choose("auto"), progress.PlainProgress)
    assert type(progress.choose("none")) is progress.Progress
