"""Why a conversation went where it went, and why it still waits. [S1; protocol §4]"""

from __future__ import annotations

from typing import Any

from tests.world import START, World, service, slots, small_world


def asked(world: World, conversation: str, who: str = "backend") -> Any:
    return world.say(who, "conversation.explain", conversation=conversation)


def rules(explanation: Any) -> dict[str, tuple[str, str, str]]:
    return {one.agent: (one.colour, one.outcome, one.rule) for one in explanation.candidates}


def test_each_candidate_of_a_waiting_one_has_the_rule_that_excludes_it() -> None:
    world = small_world(
        service("support", "off away grace full limit skill paused mia/admin", skills=["en"],
                max_slots={"messaging": 1}, decline_pause="5m"),
        agents=[{"id": name, "skills": ["en"]} for name in ("off", "away", "grace", "limit", "paused", "mia")]
        + [slots("full", 0, skills=["en"]), slots("skill", 5)],
    )  # fmt: skip
    world.online("paused")
    found = world.receive("+1").id
    world.say("paused", "conversation.decline", conversation=found)
    world.online("limit")
    other = world.receive("+2")
    assert world.look(found).assignee == "limit", "it was free"
    world.say("limit", "conversation.decline", conversation=found)
    world.say("backend", "conversation.assign", conversation=other.id, agent="limit", anyway=True)
    for name in ("grace", "full", "skill", "mia"):
        world.online(name)
    world.open("off")
    world.end("grace")
    third = world.receive("+3", skills=["fr"])
    seen = rules(asked(world, third.id))
    assert seen["off"] == ("red", "excluded", "switched_off")
    assert seen["away"][1:] in (("excluded", "no_session"), ("excluded", "switched_off"))
    assert seen["grace"][1:] == ("excluded", "grace")
    assert seen["full"] == ("orange", "excluded", "at_maximum")
    assert seen["limit"][1:] == ("excluded", "service_limit")
    assert seen["skill"] == ("green", "excluded", "skill")
    assert seen["mia"][1:] == ("excluded", "not_routed")


def test_a_paused_one_and_the_queue_position_and_deadlines() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1").id
    world.say("ana", "conversation.decline", conversation=found)
    explanation = asked(world, found)
    assert rules(explanation) == {"ana": ("green", "excluded", "paused")}
    assert explanation.position == 1
    assert {due.kind: due.at - START for due in explanation.deadlines} == {
        "soon": 180_001, "overdue": 300_001, "pause": 300_000, "escalate": 3_600_000, "auto_close": 86_400_001,
    }  # fmt: skip


def test_of_the_last_decision_who_was_taken_and_who_was_passed_over() -> None:
    world = small_world(service("support", "ana bo cy"), online="ana bo")
    found = world.receive("+1").id
    world.say("bo", "agent.set_availability", available=False)
    seen = rules(asked(world, found))
    assert seen["ana"] == ("green", "taken", "strategy")
    assert seen["bo"] == ("green", "passed_over", "strategy"), "as it was at that moment"
    assert seen["cy"][1] == "excluded"
    assert asked(world, found).position is None


def test_every_pause_is_listed_and_ends_at_its_own_time() -> None:
    world = small_world(service("support", "ana bo"), online="ana")
    found = world.receive("+1").id
    world.say("ana", "conversation.decline", conversation=found)
    world.wait(60_000)
    world.online("bo")
    world.say("bo", "conversation.decline", conversation=found)

    def pauses() -> list[int]:
        return [due.at - START for due in asked(world, found).deadlines if due.kind == "pause"]

    assert pauses() == [300_000, 360_000]
    world.say("ana", "agent.set_availability", available=False)
    world.wait(240_000)
    assert pauses() == [360_000]


def test_who_has_it_by_joining_was_no_candidate_and_an_old_push_is_no_explanation() -> None:
    world = small_world(service("floor", "ana bo", mode="collaboration"), online="ana bo")
    found = world.receive("+1").id
    world.say("ana", "conversation.join", conversation=found)
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    world.say("ana", "conversation.wake", conversation=found)
    pushed = world.look(found).assignee
    assert pushed is not None
    assert rules(asked(world, found))[pushed][1] == "taken"
    world.say(pushed, "conversation.decline", conversation=found)
    world.say("bo", "conversation.join", conversation=found)
    assert asked(world, found).candidates == ()
    world.say("bo", "conversation.close", conversation=found)
    assert asked(world, found).candidates == ()


def test_joining_beside_an_assignee_leaves_the_explanation_and_taking_over_ends_it() -> None:
    world = small_world(service("support", "ana bo"), online="ana")
    found = world.receive("+1").id
    world.say("bo", "conversation.join", conversation=found)
    assert rules(asked(world, found))["ana"][1] == "taken"
    world.say("ana", "conversation.leave", conversation=found)
    assert (world.look(found).queued, asked(world, found).candidates) == (False, ())


def test_sticky_is_a_rule_of_its_own() -> None:
    world = small_world(service("support", "ana bo", sticky=True), online="ana bo")
    found = world.receive("+1").id
    world.wait(1)
    world.say("ana", "conversation.close", conversation=found)
    world.receive("+1", "Again")
    assert rules(asked(world, found))["ana"] == ("green", "taken", "sticky")


def test_it_is_for_the_house_only() -> None:
    world = small_world(service("support", "ana"), service("sales", "cy"), online="ana cy")
    found = world.start("nia", service="support").id
    asked(world, found, "ana")
    assert world.refused("contact:nia", "conversation.explain", conversation=found)["reason"] == "forbidden"
    assert world.refused("cy", "conversation.explain", conversation=found)["reason"] == "not_found"
