"""The agreed scenarios (``tests/scenarios``): each comes out as it says, on both stores, and could have failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET

from router.simulate.play import Stuck, label
from router.simulate.run import perform
from router.simulate.scenario import Placed, Scenario, read_scenario
from router.simulate.steps import Look, Request, Step, Timeline
from tests.conftest import PostgresServer

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def named_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The operator's database, beside which each scenario gets its own."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return read_scenario(request.param)


def test_the_agreed_scenarios_are_all_there() -> None:
    assert len(FILES) >= 66


def test_they_are_as_they_were_agreed() -> None:
    agreed = Path(__file__).parents[2] / "shared" / "scenarios"
    if not agreed.is_dir():
        pytest.skip("the agreed scenarios do not lie beside the project here: nothing to compare with")
    assert [file.name for file in FILES if file.read_text() != (agreed / file.name).read_text()] == []


def test_it_comes_out_as_it_says(scenario: Scenario) -> None:
    perform(scenario)


def test_it_comes_out_as_it_says_on_postgresql(scenario: Scenario, named_url: str) -> None:
    perform(scenario, named_url)


def test_it_fails_if_its_last_expectation_is_turned_round(scenario: Scenario) -> None:
    index, turned = next(
        (index, turned)
        for index, placed in reversed(list(enumerate(scenario.steps)))
        if (turned := turned_round(placed.step)) is not None
    )
    placed: Placed = scenario.steps[index]
    steps = (*scenario.steps[:index], msgspec.structs.replace(placed, step=turned), *scenario.steps[index + 1 :])
    with pytest.raises(Stuck) as stuck:
        perform(msgspec.structs.replace(scenario, steps=steps))
    assert stuck.value.where == label(placed)


def turned_round(step: Step) -> Step | None:
    """The step that passes just where this one fails; None for steps that have no such opposite."""
    match step:
        case Request(result=result) if result is not UNSET:
            return msgspec.structs.replace(step, result={"$not": result})
        case Request(error=error) if error is not UNSET:
            return msgspec.structs.replace(step, error=UNSET)
        case Look(exactly=exactly) if exactly is not UNSET:
            return msgspec.structs.replace(step, exactly={"$not": exactly})
        case Timeline(has=has) if has is not UNSET:
            return msgspec.structs.replace(step, has=UNSET, lacks=has[-1:])
        case Timeline(lacks=lacks) if lacks is not UNSET:
            return msgspec.structs.replace(step, lacks=UNSET, has=lacks[:1])
    return None
