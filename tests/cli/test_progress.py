"""What a person sees while a command works: on a terminal, in a log file, and when it is quiet."""

import io
import logging
from types import SimpleNamespace

import pytest
from rich.console import Console

from goodteacher.cli import display, progress
from goodteacher.cli.progress import ShownProgress, Stage, shown_progress, told_left
from goodteacher.studies import OneOfSeveral, Standing, say
from tests.verdicts.test_rule import LADDER_GAINS, planted


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Watched:
    """A progress, its clock, and what was printed."""

    def __init__(self, *, terminal, width=80):
        self.clock, self.file = Clock(), io.StringIO()
        self.console = Console(
            file=self.file,
            force_terminal=terminal,
            width=width,
            color_system=None,
            legacy_windows=False,
        )
        self.progress = ShownProgress(self.console, self.clock)

    def work(self, units, *, seconds, times=1, stage=None):
        for _ in range(times):
            self.clock.now += seconds
            self.progress.advance(units, stage)

    @property
    def lines(self):
        return self.file.getvalue().splitlines()

    def screen(self):
        """The lines that stand on the terminal now, without what scrolled above them."""
        drawn = Console(
            file=io.StringIO(), force_terminal=True, width=self.console.width, color_system=None
        )
        drawn.print(self.progress)
        return drawn.file.getvalue().splitlines()


@pytest.fixture
def log():
    return Watched(terminal=False)


@pytest.fixture
def terminal():
    return Watched(terminal=True)


# --- the time left -------------------------------------------------------------------------------


def going(total=10.0):
    return Stage("students", total, began=0.0)


def test_nothing_is_estimated_before_there_is_a_basis():
    stage = going()
    assert stage.seconds_left(5.0) is None, "nothing is done"
    stage.advance(1.0, 6.0)
    assert stage.seconds_left(6.0) is None, "the first piece includes what is set up"
    stage.advance(1.0, 7.0)
    assert stage.seconds_left(7.0) is None, "one piece is no speed"
    stage.advance(1.0, 8.0)
    assert stage.seconds_left(8.0) == pytest.approx(7.0)


def test_estimate_is_the_rest_at_the_mean_speed_whatever_the_first_piece_took():
    slow_start = going()
    for now in (50.0, 52.0, 54.0, 56.0):  # the first took 50 s, the others 2 s each
        slow_start.advance(1.0, now)
    assert slow_start.seconds_left(56.0) == pytest.approx(12.0)


def test_what_a_study_had_done_before_tells_nothing_of_speed():
    resumed = going()
    resumed.advance(6.0, 0.01)
    for now in (2.0, 4.0, 6.0):
        resumed.advance(0.5, now)
    assert resumed.seconds_left(6.0) == pytest.approx(2.5 * 4.0, rel=0.01)


def test_estimate_counts_down_between_news_and_ends_where_news_are_overdue():
    stage = going()
    for now in (2.0, 4.0, 6.0, 8.0):
        stage.advance(1.0, now)
    assert stage.seconds_left(8.0) == pytest.approx(12.0)
    assert stage.seconds_left(11.0) == pytest.approx(9.0)
    assert stage.seconds_left(30.0) is None


def test_estimate_of_steady_work_never_grows():
    stage, told = going(100.0), []
    for number in range(1, 100):
        stage.advance(1.0, 0.7 * number)
        told.append(stage.seconds_left(0.7 * number))
    known = [seconds for seconds in told if seconds is not None]
    assert len(known) > 90
    assert known == sorted(known, reverse=True)
    assert known[0] == pytest.approx(0.7 * (100 - (100 - len(known))), rel=0.01)


def test_work_of_unknown_size_has_no_estimate():
    stage = going(0.0)
    for now in (1.0, 2.0, 3.0, 4.0):
        stage.advance(1.0, now)
    assert stage.seconds_left(4.0) is None
    assert not stage.finished


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "a few s left"),
        (5.1, "about 10 s left"),
        (54.0, "about 55 s left"),
        (56.0, "about 1 min left"),
        (61.0, "about 2 min left"),
        (3530.0, "about 59 min left"),
        (3600.0, "about 1 h left"),
        (3601.0, "about 1 h 10 min left"),
        (86400.0, "about 24 h left"),
    ],
)
def test_time_left_is_told_no_finer_than_it_is_known(seconds, words):
    assert told_left(seconds) == words
    assert len(words) <= 21, "the column that it has on a terminal"


# --- a log file ----------------------------------------------------------------------------------


def test_log_has_a_line_for_each_stage_with_its_time_and_none_for_a_short_one(log):
    log.progress.begin("teachers", 4.0)
    log.work(1.0, seconds=2.0, times=4)
    log.progress.begin("blends", 1.0)
    log.work(1.0, seconds=0.5)
    log.progress.begin("students, round 1", 10.0)
    log.work(1.0, seconds=9.5, times=10)
    assert log.lines == [
        "teachers: done in 8 s",
        "students, round 1: 70 % after 1:06 min, about 30 s left",
        "students, round 1: done in 1:35 min",
    ]


def test_long_stage_is_heard_of_ever_more_rarely(log):
    log.progress.begin("teachers", 36_000.0)
    log.work(1.0, seconds=1.0, times=35_999)
    assert 8 <= len(log.lines) <= 12
    assert log.lines[0] == "teachers: 0 % after 1:00 min"
    assert log.lines[-1] == "teachers: 85 % after 8:32 h, about 1 h 30 min left"


def test_note_is_one_whole_line_of_a_log_whatever_is_in_it(log):
    log.progress.note("a network [bold]x[/] " + "word " * 40)
    assert log.lines == ["note: a network [bold]x[/] " + "word " * 40]


def test_best_so_far_is_a_line_when_it_changes(log):
    for text in ("best: 91 %", "best: 91 %", "best: 92 %"):
        log.progress.note(Standing(text))
    assert log.lines == ["best: 91 %", "best: 92 %"]


def test_log_has_no_control_codes(log):
    log.progress.begin("getting ready", 0.0)
    log.clock.now += 3.0
    log.progress.begin("teachers", 2.0)
    log.work(1.0, seconds=3.0, times=2)
    assert log.lines == ["getting ready: done in 3 s", "teachers: done in 6 s"]
    assert "\x1b" not in log.file.getvalue()


def test_stage_of_unknown_size_ends_where_the_next_begins_or_the_command_ends(log):
    log.progress.begin("getting ready", 0.0)
    log.clock.now += 4.0
    log.progress.begin("teachers", 1.0)
    log.work(1.0, seconds=0.1)
    log.progress.begin("measuring", 0.0)
    log.clock.now += 5.0
    log.progress.close()
    assert log.lines == ["getting ready: done in 4 s", "measuring: done in 5 s"]


def test_stages_go_on_beside_one_another_and_grow(log):
    log.progress.begin("teachers", 2.0)
    log.progress.begin("probe students", 1.0)
    log.work(1.0, seconds=3.0, stage="teachers")
    log.progress.begin("teachers", 1.0)
    log.work(1.0, seconds=3.0, stage="teachers")
    assert [stage.name for stage in log.progress.stages] == ["teachers", "probe students"]
    log.work(1.0, seconds=3.0, stage="teachers")
    log.work(1.0, seconds=1.0, stage="probe students")
    assert log.lines == ["teachers: done in 9 s", "probe students: done in 10 s"]


def test_news_of_a_stage_that_nobody_began_is_ignored(log):
    log.progress.advance(1.0)
    log.progress.advance(1.0, "students")
    assert log.lines == []


# --- a terminal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120, 60])
def test_terminal_shows_the_stage_its_share_and_the_time_left_on_one_line(width):
    seen = Watched(terminal=True, width=width)
    seen.progress.begin("mlp:64 (1 of 3): students, round 1", 10.0)
    seen.work(1.0, seconds=10.0, times=4)
    (line,) = seen.screen()
    assert len(line) <= width
    assert line.startswith("mlp:64 (1 o")
    assert line.split()[-8:] == ["40", "%", "40", "s", "about", "1", "min", "left"]


def test_terminal_shows_no_stage_before_half_a_second(terminal):
    terminal.progress.begin("teachers", 2.0)
    terminal.clock.now += 0.3
    assert terminal.screen() == [""]
    terminal.clock.now += 0.3
    assert terminal.screen()[0].startswith("teachers")


def test_best_so_far_stands_below_the_bars_and_is_replaced(terminal):
    terminal.progress.begin("students", 2.0)
    terminal.clock.now += 3.0
    terminal.progress.note(Standing("best so far: 91 %"))
    terminal.progress.note(Standing("best so far: 92 %"))
    bar, best = terminal.screen()
    assert bar.startswith("students")
    assert best.strip() == "best so far: 92 %"
    assert terminal.lines == [], "it does not scroll by"


def test_finished_stage_leaves_a_line_and_no_bar(terminal):
    terminal.progress.begin("students", 1.0)
    terminal.work(1.0, seconds=5.0)
    assert terminal.lines == ["students: done in 5 s"]
    assert terminal.screen() == [""]


def test_best_of_one_of_several_students_names_it_and_still_stands(terminal):
    one = OneOfSeveral(terminal.progress, "mlp:8", 2, 3)
    one.note(Standing("best so far: 91 %"))
    assert terminal.progress.standing == "mlp:8: best so far: 91 %"
    one.begin("teachers", 1.0)
    terminal.clock.now += 1.0
    assert terminal.screen()[0].startswith("mlp:8 (2 of 3): teachers")


# --- quiet ---------------------------------------------------------------------------------------


def test_quiet_shows_nothing_but_warnings(capsys):
    with shown_progress(quiet=True) as progress:
        progress.begin("teachers", 1.0)
        progress.advance(1.0)
        say(progress, "trained in stacks")
        say(progress, "the classes [red]may[/] be mixed up", level=logging.WARNING)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "warning: the classes [red]may[/] be mixed up\n")
    say(progress, "after the command", level=logging.WARNING)
    assert capsys.readouterr().err == "", "the log is left as it was"


def test_without_a_terminal_progress_is_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "WORTH_SHOWING", 0.0)
    with shown_progress() as shown:
        shown.begin("teachers", 1.0)
        shown.advance(1.0)
        shown.note("read")
    err = capsys.readouterr().err
    assert err.splitlines() == ["getting ready: done in 0 s", "teachers: done in 0 s", "note: read"]


# --- results -------------------------------------------------------------------------------------


def test_verdict_fits_80_columns_and_cuts_nothing(monkeypatch):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    monkeypatch.setattr(display, "stdout", console)
    display.print_verdict(planted(LADDER_GAINS), SimpleNamespace(omitted=None))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert text.splitlines()[-1].endswith("margin 0.2 points.")
    for name in ("4 full response", "tuned label smoothing", "gain of full response"):
        assert name in text
