"""A session's rules in virtual time: what may be said when, how fast, and until when."""

from typing import Any

import msgspec
import msgspec.inspect as types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from protocol import closing
from protocol.bucket import Bucket
from protocol.codec import CODECS, JSON, Call, Codec, Refusal
from protocol.errors import RequestError
from protocol.ids import Principal, Role
from protocol.requests import METHODS
from protocol.session import FLOOD_MS, STRANGE_MAX, Limits, Session
from protocol.times import Duration

SMALL = Limits(
    batch=50,
    requests_per_s=10,
    requests_burst=5,
    trusted_requests_per_s=1000,
    trusted_requests_burst=40,
    refusals_max=3,
)
ANA = Principal("agent", "ana")
NOW = 1_000_000


def frame(method: str = "service.list", ident: Any = 1, **params: Any) -> bytes:
    plain = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
    return msgspec.json.encode({name: value for name, value in plain.items() if value is not UNSET})


def new(limits: Limits = SMALL, codec: Codec = JSON) -> Session:
    return Session(codec, limits, NOW)


def opened(principal: Principal = ANA, *, batch: bool = False, expires_at: int | None = None) -> Session:
    session = new()
    session.open(principal, batch=batch, expires_at=expires_at)
    return session


def said(session: Session, now: int = NOW, data: bytes = frame()) -> str:
    """``done``, or the reason or code of the refusal."""
    [item] = session.receive(data, now)
    return str(item.error.data.get("reason", item.error.code)) if isinstance(item, Refusal) else "done"


def burst(session: Session, now: int) -> int:
    """How many requests are taken at this moment before the first is refused."""
    count = 0
    while said(session, now) == "done":
        count += 1
    return count


# ---------------------------------------------------------------- before, during, after


def sample(wanted: types.Type) -> Any:
    """Some value of a type, as small as it may be."""
    match wanted:
        case types.Metadata():
            return sample(wanted.type)
        case types.StructType():
            return {field.encode_name: sample(field.type) for field in wanted.fields if field.required}
        case types.LiteralType():
            return wanted.values[0]
        case types.StrType():
            return "x@y" if wanted.pattern else "x" * (wanted.min_length or 0)
        case types.IntType():
            return wanted.ge or 0
        case types.BoolType():
            return True
        case types.VarTupleType():
            return [sample(wanted.item_type)] * (wanted.min_length or 0)
        case types.DictType():
            return {}
        case types.CustomType():
            return "1d" if wanted.cls is Duration else "2026-01-05T09:00:00Z"
        case types.UnionType():
            return sample(wanted.types[0])
    raise NotImplementedError(wanted)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "session.open"])
def test_anything_before_open_is_unauthenticated(method: str) -> None:
    params = sample(types.type_info(METHODS[method].params))
    assert said(new(), data=frame(method, **params)) == "unauthenticated"
    assert said(opened(), data=frame(method, **params)) == "done"


def test_open_is_admitted_once() -> None:
    session = new()
    assert said(session, data=frame("session.open")) == "done"
    session.open(ANA, batch=False, expires_at=None)
    assert said(session, data=frame("session.open")) == "conflict"
    assert session.principal == ANA
    with pytest.raises(RequestError) as caught:
        session.open(Principal("backend", "b"), batch=False, expires_at=None)
    assert caught.value.data["reason"] == "conflict"
    assert session.principal == ANA


def test_before_and_after_open_a_bad_request_is_still_told_what_is_wrong() -> None:
    assert said(new(), data=b"{") == "-32700"
    assert said(opened(), data=frame("no.such")) == "-32601"


def test_nothing_is_admitted_after_close() -> None:
    session = opened()
    session.close()
    assert said(session) == "unauthenticated"
    assert said(session, data=frame("session.open")) == "unauthenticated"
    assert session.closing == closing.DONE


def test_the_first_close_code_stays() -> None:
    session = opened()
    session.close(closing.TOKEN_EXPIRED)
    session.close(closing.DONE)
    assert (session.state, session.closing) == ("closed", closing.TOKEN_EXPIRED)


def test_every_close_code_has_a_meaning() -> None:
    codes = {value for name, value in vars(closing).items() if name.isupper() and isinstance(value, int)}
    assert codes == closing.MEANINGS.keys()


def test_a_refused_notification_wants_no_response() -> None:
    silent = frame(ident=UNSET)
    for session in (new(), opened(), opened()):
        taken = [next(session.receive(silent, NOW)) for _ in range(SMALL.requests_burst + 1)]
        assert all(item.id is UNSET for item in taken)
        assert isinstance(taken[-1], Refusal)
    [again] = opened().receive(frame("session.open", UNSET), NOW)
    assert isinstance(again, Refusal)
    assert again.id is UNSET


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
@pytest.mark.parametrize("ident", [0, "a", None])
def test_a_refusal_goes_back_under_the_id_of_its_request(codec: Codec, ident: Any) -> None:
    plain = {"jsonrpc": "2.0", "id": ident, "method": "service.list"}
    data = codec.encode(plain)
    [item] = new(codec=codec).receive(data, NOW)
    assert isinstance(item, Refusal)
    assert item.id == ident


# ---------------------------------------------------------------- the token's time


def test_a_session_ends_when_its_token_does() -> None:
    session = opened(expires_at=NOW + 100)
    session.check_expiry(NOW + 99)
    assert session.state == "open"
    session.check_expiry(NOW + 100)
    assert (session.state, session.closing) == ("closed", closing.TOKEN_EXPIRED)


def test_a_session_without_expiry_goes_on() -> None:
    session = opened()
    session.check_expiry(2**60)
    assert session.state == "open"


def test_a_refresh_moves_the_end() -> None:
    session = opened(expires_at=NOW + 100)
    session.refresh(ANA, NOW + 200)
    session.check_expiry(NOW + 150)
    assert session.state == "open"
    session.check_expiry(NOW + 200)
    assert session.closing == closing.TOKEN_EXPIRED


@pytest.mark.parametrize("other", [Principal("agent", "bo"), Principal("backend", "ana")])
def test_a_refresh_for_somebody_else_changes_nothing(other: Principal) -> None:
    session = opened(expires_at=NOW + 100)
    with pytest.raises(RequestError) as caught:
        session.refresh(other, None)
    assert caught.value.data["reason"] == "conflict"
    assert (session.principal, session.expires_at) == (ANA, NOW + 100)


def test_a_refresh_before_open_is_refused() -> None:
    with pytest.raises(RequestError):
        new().refresh(ANA, None)


# ---------------------------------------------------------------- how fast


def test_a_burst_is_taken_and_then_so_many_a_second() -> None:
    session = opened()
    session.limits = msgspec.structs.replace(SMALL, refusals_max=10)
    assert burst(session, NOW) == 5
    assert burst(session, NOW + 99) == 0
    assert burst(session, NOW + 100) == 1
    assert burst(session, NOW + 400) == 3
    assert burst(session, NOW + 3_600_000) == 5


def test_the_refusal_says_when_to_come_again_and_then_it_works() -> None:
    session = opened()
    burst(session, NOW)
    [item] = session.receive(frame(), NOW)
    assert isinstance(item, Refusal)
    assert item.error.data == {"reason": "rate_limited", "retry": True, "retry_after_s": 0.1}
    assert said(session, NOW + round(item.error.data["retry_after_s"] * 1000)) == "done"


@pytest.mark.parametrize(("role", "taken"), [("agent", 5), ("contact", 5), ("connector", 40), ("backend", 40)])
def test_connectors_and_backends_are_trusted_with_more(role: Role, taken: int) -> None:
    assert burst(opened(Principal(role, "x")), NOW) == taken


def test_each_request_of_a_batch_counts() -> None:
    items = list(opened().receive(b"[" + b",".join([frame()] * 8) + b"]", NOW))
    assert [type(item) for item in items] == [Call] * 5 + [Refusal] * 3


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9)), max_size=20))
def test_an_array_is_taken_as_its_requests_are_one_by_one(arrays: list[tuple[int, int]]) -> None:
    together, apart = opened(), opened()
    for session in (together, apart):
        session.limits = msgspec.structs.replace(SMALL, refusals_max=1_000)
        session.share(Bucket(7, 8, NOW))
    now = NOW
    for later, size in arrays:
        now += later
        whole = together.receive(b"[" + b",".join([frame()] * size) + b"]", now)
        singly = [item for _ in range(size) for item in apart.receive(frame(), now)]
        assert [item.error.data if isinstance(item, Refusal) else item for item in whole] == [
            item.error.data if isinstance(item, Refusal) else item for item in singly
        ]


def test_what_stands_behind_the_close_of_a_session_is_not_paid_for() -> None:
    shared = Bucket(1, 3, NOW)
    session = opened()
    session.share(shared)
    items = session.receive(b"[" + b",".join([frame(), frame("session.close"), frame()]) + b"]", NOW)
    assert [type(next(items)) for _ in range(2)] == [Call] * 2
    session.close()
    assert shared.take(NOW)


def test_bad_requests_count_too() -> None:
    session = opened()
    assert [said(session, data=b"{") for _ in range(6)] == ["-32700"] * 5 + ["rate_limited"]


def test_a_clock_that_goes_back_gives_nothing_and_locks_nobody_out() -> None:
    session = opened()
    burst(session, NOW)
    assert burst(session, NOW - 5_000) == 0
    assert burst(session, NOW - 4_900) == 1


def test_too_many_refusals_in_ten_seconds_are_a_flood() -> None:
    session = opened()
    burst(session, NOW)  # the last of these is the first refusal
    assert [said(session) for _ in range(2)] == ["rate_limited"] * 2
    assert session.closing is None
    said(session)
    assert (session.state, session.closing) == ("closed", closing.FLOODING)


def test_a_request_that_is_taken_in_between_does_not_excuse_a_flood() -> None:
    session = opened()
    burst(session, NOW)
    said(session)
    said(session)
    assert said(session, NOW + 100) == "done"
    assert said(session, NOW + 100) == "rate_limited"
    assert session.closing == closing.FLOODING


def test_refusals_of_ten_seconds_ago_are_forgotten() -> None:
    session = opened()
    burst(session, NOW)
    said(session)
    said(session)
    later = NOW + FLOOD_MS
    assert burst(session, later) == 5  # and a refusal, the first of this stretch
    assert [said(session, later) for _ in range(2)] == ["rate_limited"] * 2
    assert session.closing is None
    said(session, later + FLOOD_MS - 9_999)
    assert session.closing == closing.FLOODING


def test_a_clock_that_goes_back_begins_a_new_stretch() -> None:
    session = opened()
    burst(session, NOW)
    said(session)
    said(session)
    assert said(session, NOW - 50_000) == "rate_limited"
    assert session.closing is None


def test_what_is_shared_is_taken_by_all_who_share_it() -> None:
    shared = Bucket(1, 6, NOW)
    one, two = opened(), opened()
    one.share(shared)
    two.share(shared)
    assert burst(one, NOW) == 5
    assert burst(two, NOW) == 1
    [item] = two.receive(frame(), NOW)
    assert isinstance(item, Refusal)
    assert item.error.data["retry_after_s"] == 1.0
    assert burst(two, NOW + 1_000) == 1


def test_a_refusal_takes_nothing_from_any_bucket() -> None:
    shared = Bucket(1_000, 100, NOW)
    session = opened()
    session.share(shared)
    assert burst(session, NOW) == 5
    assert shared.take(NOW, 95)
    assert not shared.take(NOW)
    assert said(session, NOW + 100) == "done"  # the shared one has refilled, its own has earned one


@pytest.mark.parametrize(("role", "taken"), [("agent", 2), ("contact", 2), ("connector", 40), ("backend", 40)])
def test_an_address_is_shared_by_whoever_is_not_the_operators_own(role: Role, taken: int) -> None:
    session = Session(JSON, SMALL, NOW, (Bucket(1, 2, NOW),))
    session.open(Principal(role, "x"), batch=False, expires_at=None)
    assert burst(session, NOW) == taken


@pytest.mark.parametrize("data", [frame(), b"{", frame("no.such")])
def test_whoever_sends_much_before_it_opens_is_ended(data: bytes) -> None:
    session = new(Limits())
    for _ in range(STRANGE_MAX):
        said(session, data=data)
        assert session.closing is None
    said(session, data=data)
    assert session.closing == closing.UNAUTHENTICATED
    assert said(session, data=frame("session.open")) == "unauthenticated"


def test_a_session_that_is_open_may_be_wrong_as_often_as_it_likes() -> None:
    session = new(Limits())
    session.open(ANA, batch=False, expires_at=None)
    for _ in range(STRANGE_MAX + 5):
        said(session, data=b"{")
    assert session.closing is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 4)), max_size=60))
def test_no_stretch_of_time_gets_more_than_its_burst_and_rate(steps: list[tuple[int, int]]) -> None:
    session, now, taken = opened(), NOW, []
    session.limits = msgspec.structs.replace(SMALL, refusals_max=10**6)
    for wait, count in steps:
        now += wait
        taken += [now] * sum(said(session, now) == "done" for _ in range(count))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= SMALL.requests_burst + (taken[last] - taken[first]) * 10 / 1000 + 1e-6


# ---------------------------------------------------------------- frames out


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
def test_what_is_ready_goes_out_joined_if_the_client_takes_arrays(codec: Codec) -> None:
    session = new(codec=codec)
    session.open(ANA, batch=True, expires_at=None)
    objects = [codec.response(number, None) for number in range(SMALL.batch + 2)]
    frames = session.frames(objects)
    assert frames == [codec.joined(objects[: SMALL.batch]), codec.joined(objects[SMALL.batch :])]


def test_a_single_object_goes_out_bare() -> None:
    assert opened(batch=True).frames([b"{}"]) == [b"{}"]
    assert opened(batch=True).frames([]) == []


def test_without_batch_each_object_is_a_frame() -> None:
    assert opened().frames([b"{}", b"[]"]) == [b"{}", b"[]"]
