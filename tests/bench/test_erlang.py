"""The formulas against published values, and the judges against a core that is right and a team that is not."""

import math
from itertools import pairwise

import pytest

from bench.erlang import (
    BATCHES,
    EXPECTED_MIN,
    WARM_UP,
    Cell,
    Figure,
    calibrated,
    cells,
    erlang_a,
    erlang_b,
    erlang_c,
    judge,
    table,
    text_plot,
    theory_errors,
)

# The formulas


@pytest.mark.parametrize(
    ("agents", "offered"), [(1, 0.0101), (2, 0.1526), (5, 1.3608), (10, 4.4612), (20, 12.031), (30, 20.337)]
)
def test_erlang_b_is_one_percent_at_the_traffic_of_the_published_tables(agents: int, offered: float) -> None:
    assert erlang_b(agents, offered) == pytest.approx(0.01, rel=2e-3)


@pytest.mark.parametrize(
    ("agents", "offered", "waits"), [(1, 0.7, 0.7), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (10, 8.0, 0.4092)]
)
def test_erlang_c_gives_the_textbook_probabilities_of_waiting(agents: int, offered: float, waits: float) -> None:
    assert erlang_c(agents, offered)[0] == pytest.approx(waits, abs=5e-5)


def test_one_agent_without_giving_up_is_the_single_server_queue() -> None:
    assert erlang_c(1, 0.9)[1] == pytest.approx(0.9**2 / 0.1)


def test_erlang_a_gives_the_worked_example_of_garnett_mandelbaum_and_reiman() -> None:
    """48 calls a minute, 50 agents, a minute each, patience of two: 3.1 % give up, 3.7 s; without: 20.8 s."""
    _, queue = erlang_a(50, 48.0, 1 / 2)
    assert queue / 2 / 48 == pytest.approx(0.031, abs=5e-4)
    assert 60 * queue / 48 == pytest.approx(3.7, abs=0.05)
    assert 60 * erlang_c(50, 48.0)[1] / 48 == pytest.approx(20.8, abs=0.05)


@pytest.mark.parametrize(("agents", "load"), [(1, 0.5), (5, 0.95), (30, 1.2)])
def test_patience_as_long_as_handling_makes_the_number_there_a_poisson_number(agents: int, load: float) -> None:
    offered = agents * load
    shares = [math.exp(-offered + number * math.log(offered) - math.lgamma(number + 1)) for number in range(300)]
    waits, queue = erlang_a(agents, offered, 1.0)
    assert waits == pytest.approx(sum(shares[agents:]))
    assert queue == pytest.approx(sum(share * max(number - agents, 0) for number, share in enumerate(shares)))


def test_endless_patience_turns_erlang_a_into_erlang_c() -> None:
    assert erlang_a(5, 4.0, 1e-9) == pytest.approx(erlang_c(5, 4.0), rel=1e-6)


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
def test_the_error_of_the_busy_share_of_one_agent_is_that_of_renewal_theory(load: float) -> None:
    """The share of time busy has the asymptotic variance 2 * load, from the lengths of busy and idle periods."""
    cell = Cell(1, load, impatient=False, batch=1_000)
    time = cell.batch * BATCHES / load
    assert (theory_errors(cell)["waits"] * load) ** 2 * time == pytest.approx(2 * load)


# The core and its judges


@pytest.mark.parametrize("impatient", [False, True])
def test_a_small_team_fares_as_theory_says_and_each_contact_as_first_come_first_served(impatient: bool) -> None:
    judgement = judge(Cell(2, 0.7, impatient, batch=60), seed=1)
    assert judgement.differing == 0
    assert [figure.measure for figure in judgement.figures] == ["wait", "waits", "queue", "gives up"][: 3 + impatient]
    assert [figure.verdict for figure in judgement.figures] == ["ok"] * (3 + impatient)
    assert all(abs(figure.errors) < 2.5 for figure in judgement.figures)


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    cell = Cell(1, 0.5, impatient=False, batch=10)
    assert judge(cell, 1) == judge(cell, 1) != judge(cell, 2)


def test_a_team_that_is_one_short_is_found_by_both_judges() -> None:
    judgement = judge(Cell(5, 0.5, impatient=False, batch=100), seed=1, agents=4)
    assert judgement.fails
    assert judgement.differing > 100
    assert [figure.verdict for figure in judgement.figures] == ["OFF"] * 3
    assert any("OFF" in line for line in table([judgement]))


def test_the_recursion_alone_keeps_to_theory() -> None:
    judgement = calibrated(Cell(5, 0.85, impatient=True, batch=1_000), seed=1)
    assert {figure.verdict for figure in judgement.figures} == {"ok"}


def test_off_is_beyond_four_errors_and_beyond_two_percent() -> None:
    def verdict(mean: float, error: float, expected: float = EXPECTED_MIN) -> str:
        return Figure("wait", mean, error, 100.0, expected).verdict

    assert [verdict(103, 0.7), verdict(97, 0.7)] == ["OFF", "OFF"]
    assert [verdict(103, 0.8), verdict(101.9, 0.1), verdict(98.1, 0.1)] == ["ok", "ok", "ok"]
    assert verdict(200, 1.0, EXPECTED_MIN - 1) == "rare"


# What is shown


def test_a_full_run_has_every_team_size_at_every_load() -> None:
    assert len(cells(quick=False)) == 35
    assert {(cell.agents, cell.load) for cell in cells(quick=False) if not cell.impatient} == {
        (agents, load) for agents in (1, 2, 5, 10, 30) for load in (0.5, 0.7, 0.85, 0.95)
    }


def test_the_plot_in_letters_has_a_line_a_cell_and_longer_waits_further_right() -> None:
    teams = [calibrated(Cell(agents, 0.85, impatient=False, batch=50), seed=1) for agents in (30, 5, 1)]
    _, *lines = text_plot(teams)
    assert [line[:4] for line in lines] == ["C 30", "C  5", "C  1"]
    ends = [max(line.rfind("|"), line.rfind("*")) for line in lines]
    assert all(before < after for before, after in pairwise(ends))


def test_a_cell_has_batches_to_count_and_batches_to_warm_up() -> None:
    assert judge(Cell(1, 0.5, impatient=False, batch=4), seed=1).contacts == 4 * (WARM_UP + BATCHES)
