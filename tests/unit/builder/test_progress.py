"""progress.py: every line parses for the operator, and a person at a terminal sees a bar."""

from __future__ import annotations

import io
import json
import time

import pytest

from trtllm_api.contract import ProgressLine
from trtllm_builder.progress import Progress, bar

from .conftest import Log


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time; tests move it."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_step_begins_and_ends_with_a_line_that_parses(log: Log, clock: list[float]) -> None:
    with log.progress.step("Downloading", 200, "bytes") as step:
        clock[0] += 5
        step.reach(50, "model.safetensors")
    first, middle, last = log.lines()
    assert (first.done, first.total, first.eta_seconds) == (0, 200, None)
    assert (middle.done, middle.eta_seconds, middle.detail) == (50, 15, "model.safetensors")
    assert (last.stage, last.done, last.total, last.unit, last.eta_seconds) == ("Downloading", 200, 200, "bytes", 0)


def test_at_most_one_line_a_second_is_written(log: Log, clock: list[float]) -> None:
    with log.progress.step("Quantizing", 1000) as step:
        for _ in range(1000):
            clock[0] += 0.01
            step.advance()
    assert 11 <= len(log.lines()) <= 13
    assert log.lines()[-1].done == 1000


def test_more_than_the_total_is_the_total(log: Log) -> None:
    with log.progress.step("Verifying", 10) as step:
        step.advance(25)
        step.write()
    assert max(line.done for line in log.lines()) == 10


def test_a_step_of_unknown_length_counts_without_an_end(log: Log) -> None:
    with log.progress.step("MeasuringSource") as step:
        step.advance(3)
    assert (log.lines()[-1].done, log.lines()[-1].total, log.lines()[-1].eta_seconds) == (3, 0, None)


def test_a_step_that_fails_is_not_reported_as_done(log: Log) -> None:
    with pytest.raises(RuntimeError, match="broke"), log.progress.step("Exporting", 10):
        raise RuntimeError("broke")
    assert [line.done for line in log.lines()] == [0]


def test_a_long_detail_is_cut_to_what_the_line_may_hold(log: Log) -> None:
    with log.progress.step("Downloading", 1) as step:
        step.reach(0, "x" * 1000)
        step.write()
    assert len(log.lines()[-1].detail) == 200


def test_a_size_that_no_file_has_is_cut_to_what_the_line_may_hold(log: Log, clock: list[float]) -> None:
    with log.progress.step("Downloading", 1e300, "bytes") as step:
        clock[0] += 1e6
        step.reach(1e-9)
        step.write()
    line = log.lines()[-2]
    assert (line.total, line.eta_seconds) == (2**53 - 1, 2**53 - 1)


def test_messages_are_json_too_so_that_the_whole_log_parses(log: Log) -> None:
    log.progress.say('A "quoted" cause\nand a remedy')
    assert json.loads(log.stream.getvalue()) == {"message": 'A "quoted" cause\nand a remedy'}
    assert log.lines() == []


def shown(terminal: _Terminal) -> list[str]:
    """What each write leaves on the terminal's last line."""
    return terminal.getvalue().replace("\n", "").split("\r\x1b[K")[1:]


def test_the_bar_tells_percent_amount_rate_and_remaining_time_on_one_line(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    terminal = _Terminal()
    with Progress(terminal).step("Downloading", 200_000_000, "bytes") as step:
        clock[0] += 5
        step.reach(50_000_000, "w.bin")
    first, middle, last = shown(terminal)
    assert first == f"Downloading       {'·' * 20}   0%  0 of 200 MB"
    assert middle == f"Downloading       {'█' * 5}{'·' * 15}  25%  50 of 200 MB  10 MB/s  15 s left  w.bin"
    assert last == f"Downloading       {'█' * 20} 100%  200 of 200 MB  40 MB/s  w.bin"
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"done": 3, "total": 16, "unit": "ranks", "rate": 0.02, "etaSeconds": 650}, "1.2 ranks/min  11 min left"),
        ({"done": 1200, "total": 4096, "unit": "tokens", "rate": 250, "etaSeconds": 9000}, "250 tokens/s  2.5 h left"),
        ({"done": 35, "total": 0, "unit": "s", "rate": 1}, "Building          35 s"),
        ({"done": 0, "total": 0}, "Building"),
    ],
)
def test_a_bar_in_the_units_of_its_step(line: dict[str, object], told: str) -> None:
    assert bar(ProgressLine.model_validate({"stage": "Building", **line})).endswith(told)


def test_a_bar_never_wraps_however_long_its_detail_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    terminal = _Terminal()
    with Progress(terminal).step("Downloading", 10) as step:
        step.reach(1, "x" * 150)
        step.write()
    assert max(map(len, shown(terminal))) == 59


def test_a_bar_moves_more_often_than_a_log_grows(clock: list[float]) -> None:
    terminal = _Terminal()
    with Progress(terminal).step("Quantizing", 100) as step:
        for _ in range(10):
            clock[0] += 0.2
            step.advance()
    assert len(shown(terminal)) == 12


def test_a_line_of_the_log_has_the_rate(log: Log, clock: list[float]) -> None:
    with log.progress.step("Quantizing", 100, "batches") as step:
        clock[0] += 4
        step.advance(10)
    assert [line.rate for line in log.lines()] == [None, 2.5, 25]


def test_a_person_at_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    terminal = _Terminal()
    progress = Progress(terminal)
    with progress.step("Quantizing", 10) as step:
        step.reach(5, "layer 5")
        step.write()
    progress.say("Done.")
    assert "█" * 10 + "·" * 10 in terminal.getvalue()
    assert "layer 5" in terminal.getvalue()
    assert terminal.getvalue().endswith("Done.\n")
    assert "{" not in terminal.getvalue()
