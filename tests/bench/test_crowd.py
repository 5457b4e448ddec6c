"""The tally of acknowledged and delivered."""

from __future__ import annotations

from bench.crowd import Tally


def played() -> Tally:
    """One conversation on the web, from start to close, everything delivered."""
    tally = Tally()
    tally.began["c1"] = tally.assigned["c1"] = 1.0
    tally.on_web.add("c1")
    tally.answers[7] = ("c1", 1.0, 2.0)
    tally.delivered[7] = 2.0
    tally.echoed.add(7)
    tally.said.add(8)
    tally.heard.add(8)
    for names in (tally.closed, tally.agents_closed, tally.contacts_closed):
        names.add("c1")
    return tally


def test_nothing_is_missing_when_all_was_delivered() -> None:
    assert played().missing() == []


def test_an_acknowledged_answer_that_reached_nobody_is_missing() -> None:
    tally = played()
    del tally.delivered[7]
    assert tally.missing(whole=False) == ["1 answered, not delivered to the contact, such as 7"]


def test_words_of_a_contact_that_no_agent_heard_are_missing() -> None:
    tally = played()
    tally.said.add(9)
    assert tally.missing(whole=False) == ["1 said by a contact, not delivered to the agent, such as 9"]


def test_a_conversation_that_goes_on_is_missing_only_when_it_was_to_end() -> None:
    tally = played()
    tally.began["c2"] = tally.assigned["c2"] = 3.0
    assert tally.missing(whole=False) == []
    assert tally.missing() == ["1 assigned, not answered, such as c2", "1 started, not closed, such as c2"]
