import pytest

from protocol.frozen import Frozen


def test_what_is_inherited_without_the_keyword_is_frozen_and_has_a_hash():
    """As mypyc leaves it."""
    made = type(Frozen)("Made", (Frozen,), {"__annotations__": {"name": str}, "__module__": __name__})
    one = made("a")
    assert {one: 1}[made("a")] == 1
    with pytest.raises(AttributeError, match="immutable"):
        one.name = "b"
