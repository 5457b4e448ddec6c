"""Who gets in. Time is given; keys are made here; nothing a stranger sends may raise anything but a refusal."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RequestError
from protocol.ids import Principal
from router.auth import Gate
from router.config import AuthSettings, Config, ConfigError

NOW = 1_700_000_000_000
SECRET = b"0123456789abcdef0123456789abcdef"
ED, OLD_ED = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65_537, 2_048)
GATE = Gate(secret=SECRET)
LAX = Gate(secret=SECRET, require_expiry=False)
KEYED = Gate(secret=SECRET, public_keys=[OLD_ED.public_key(), ED.public_key(), RSA.public_key()])
PEM = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
DER = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A good agent's token, changed by ``claims``; None leaves a claim out."""
    whole = {"sub": "ana", "role": "agent", "aud": "signalbox", "exp": NOW // 1000 + 60} | claims
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, key, algorithm)


def handmade(header: Any, claims: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def why(text: Any, gate: Gate = GATE, now: int = NOW) -> str:
    """The sentence of the refusal."""
    with pytest.raises(RequestError) as caught:
        gate.verify(text, now)
    assert caught.value.data == {"reason": "unauthenticated", "retry": False}
    assert not isinstance(text, str) or len(text) < 10 or text not in caught.value.message
    return caught.value.message.removeprefix("the token is not accepted: ")


# ---------------------------------------------------------------- who it is for


@pytest.mark.parametrize(
    ("claims", "principal"),
    [
        ({"role": "agent", "sub": "ana"}, Principal("agent", "ana")),
        ({"role": "backend", "sub": "shop"}, Principal("backend", "shop")),
        ({"role": "contact", "sub": "kari"}, Principal("contact", "kari")),
        ({"role": "contact", "name": "Kari", "email": "k@x.no"}, Principal("contact", "ana", (), "Kari", "k@x.no")),
        ({"role": "connector", "channels": ["sms", "wa"]}, Principal("connector", "ana", ("sms", "wa"))),
        ({"role": "agent", "channels": ["sms"], "name": "A", "email": 5}, Principal("agent", "ana")),
        ({"sub": "x" * 200}, Principal("agent", "x" * 200)),
        ({"sub": "Åse 😀"}, Principal("agent", "Åse 😀")),
        ({"ws": "main"}, Principal("agent", "ana")),
        ({"aud": ["other", "signalbox"]}, Principal("agent", "ana")),
    ],
)
def test_a_good_token_names_a_principal_and_its_end(claims: dict[str, Any], principal: Principal) -> None:
    assert GATE.verify(token(**claims), NOW) == (principal, NOW + 60_000)


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"role": None}, "role must be one of agent, contact, connector, backend"),
        ({"role": "admin"}, "role must be one of"),
        ({"role": ["agent"]}, "role must be one of"),
        ({"sub": None}, "sub must be 1 to 200 printable characters"),
        ({"sub": ""}, "sub must be"),
        ({"sub": "x" * 201}, "sub must be"),
        ({"sub": "a\nb"}, "sub must be"),
        ({"sub": "a\0"}, "sub must be"),
        ({"sub": "\ud800"}, "sub must be"),
        ({"sub": 5}, "sub must be"),
        ({"aud": None}, 'aud must be "signalbox"'),
        ({"aud": "other"}, "aud must be"),
        ({"aud": ["other"]}, "aud must be"),
        ({"aud": {"signalbox": 1}}, "aud must be"),
        ({"ws": "acme"}, "it is for another workspace (ws)"),
        ({"ws": 5}, "it is for another workspace (ws)"),
        ({"role": "connector"}, "a connector's token needs channels"),
        ({"role": "connector", "channels": []}, "a connector's token needs channels"),
        ({"role": "connector", "channels": "sms"}, "a connector's token needs channels"),
        ({"role": "connector", "channels": ["sms", 5]}, "a connector's token needs channels"),
        ({"role": "connector", "channels": ["sms", ""]}, "a connector's token needs channels"),
        ({"role": "connector", "channels": {"sms": 1}}, "a connector's token needs channels"),
        ({"role": "contact", "name": 5}, "name must be 1 to 200 printable characters"),
        ({"role": "contact", "email": "x" * 321}, "email must be 1 to 320 printable characters"),
    ],
)
def test_a_wrong_claim_is_refused_with_a_sentence(claims: dict[str, Any], sentence: str) -> None:
    assert why(token(**claims)).startswith(sentence)


def test_a_gate_of_another_workspace_takes_only_its_own() -> None:
    acme = Gate(secret=SECRET, workspace="acme")
    assert acme.verify(token(ws="acme"), NOW)[0].sub == "ana"
    assert why(token(), acme) == "it is for another workspace (ws)"


# ---------------------------------------------------------------- until when


def test_a_token_ends_at_its_very_millisecond() -> None:
    good = token(exp=(NOW + 1) / 1000)
    assert GATE.verify(good, NOW) == (Principal("agent", "ana"), NOW + 1)
    assert why(good, now=NOW + 1) == "it has expired"


def test_the_wall_clock_is_not_asked() -> None:
    """A token of 1970 is good in 1970, and one of the far future in the far future."""
    assert GATE.verify(token(exp=10, nbf=5, iat=2**33), 9_999)[1] == 10_000
    assert GATE.verify(token(exp=2**35), 2**35 * 1000 - 1)[1] == 2**35 * 1000


def test_a_token_without_expiry_needs_a_gate_that_allows_it() -> None:
    assert why(token(exp=None)) == "it has no expiry (exp)"
    assert LAX.verify(token(exp=None), NOW) == (Principal("agent", "ana"), None)
    assert why(token(exp=1), LAX) == "it has expired"


@pytest.mark.parametrize("value", ["1", True, [], -1, 10**12, 10**400, 1e300, float("nan"), float("inf")])
@pytest.mark.parametrize("claim", ["exp", "nbf"])
def test_a_time_that_is_no_number_of_seconds_is_refused(claim: str, value: Any) -> None:
    for gate in (GATE, LAX):
        assert why(handsigned({claim: value}), gate) == f"{claim} must be a number of seconds since 1970"


def handsigned(claims: dict[str, Any]) -> str:
    """Signed as it stands: PyJWT's own encoder refuses some of these claims."""
    whole = {"sub": "ana", "role": "agent", "aud": "signalbox", "exp": NOW // 1000 + 60} | claims
    return jwt.api_jws.encode(json.dumps(whole).encode(), SECRET, "HS256")


def test_a_token_may_begin_later() -> None:
    later = token(nbf=NOW // 1000 + 1)
    assert why(later) == "it is not valid yet (nbf)"
    assert GATE.verify(later, NOW + 1_000)[0].sub == "ana"


# ---------------------------------------------------------------- whose word it is


def test_each_kind_of_key_vouches_with_its_own_algorithm() -> None:
    for text in (token(), token(ED, "EdDSA"), token(OLD_ED, "EdDSA"), token(RSA, "RS256")):
        assert KEYED.verify(text, NOW)[0].sub == "ana"


def test_a_key_that_was_taken_out_vouches_no_more() -> None:
    rotated = Gate(public_keys=[ED.public_key()])
    assert why(token(OLD_ED, "EdDSA"), rotated) == "its signature fits no key of this server"
    assert why(token(), rotated) == "its algorithm is not accepted; this server takes EdDSA"


def test_a_foreign_signature_is_refused() -> None:
    foreign = ed25519.Ed25519PrivateKey.generate()
    assert why(token(b"x" * 32)) == "its signature fits no key of this server"
    assert why(token(foreign, "EdDSA"), KEYED) == "its signature fits no key of this server"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 5, ["HS256"], "hs256", "HS512", "ES256"])
def test_no_other_algorithm_is_taken(algorithm: Any) -> None:
    claims = {"sub": "ana", "role": "agent", "aud": "signalbox", "exp": NOW}
    for gate in (GATE, LAX, KEYED):
        assert why(handmade({"alg": algorithm, "typ": "JWT"}, claims), gate).startswith(("its algorithm", "it is not"))


def test_the_secret_does_hs256_only() -> None:
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        strong = token(SECRET, "HS512")
    assert why(strong).startswith("its algorithm is not accepted")


@pytest.mark.parametrize("form", [PEM, DER], ids=["PEM", "DER"])
@pytest.mark.parametrize("key", [ED, RSA], ids=["Ed25519", "RSA"])
def test_a_public_key_is_never_taken_for_a_secret(key: Any, form: Any) -> None:
    """The classic attack: sign with HMAC, with the public key's bytes as the secret."""
    known = key.public_key().public_bytes(*form)
    signing = jwt.api_jws.base64url_encode
    head = signing(b'{"alg":"HS256","typ":"JWT"}') + b"." + signing(json.dumps({"sub": "ana"}).encode())
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head, known)
    forged = (head + b"." + signing(mac)).decode()
    only_public = Gate(public_keys=[ED.public_key(), RSA.public_key()])
    assert why(forged, only_public).startswith("its algorithm is not accepted")
    assert why(forged, KEYED) == "its signature fits no key of this server"


# ---------------------------------------------------------------- what is no token at all


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "e30.e30.e30", "é.é.é", "\ud800", "x" * 16_384, None, 5, b"x"]
)
def test_rubbish_is_not_a_token(text: Any) -> None:
    assert why(text).startswith(("it is not a JSON Web Token", "its algorithm is not accepted", "it is too long"))


def test_a_token_has_a_bound() -> None:
    assert why("x" * 16_385) == "it is too long"


def test_nesting_without_end_is_no_token() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 12_000).decode().rstrip("=")
    assert why(f"{deep[:16_000]}.e30.") == "it is not a JSON Web Token"


@pytest.mark.parametrize("payload", [b"[]", b"5", b"null", b"{", b"\xff", b"[" * 5_000, b'"' + b"9" * 5_000])
def test_claims_that_are_no_object_are_refused(payload: bytes) -> None:
    assert why(jwt.api_jws.encode(payload, SECRET, "HS256")) == "it cannot be read"


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
def test_arbitrary_text_is_refused_and_nothing_else(text: str) -> None:
    why(text, KEYED)


@settings(deadline=None)
@given(st.integers(0), st.characters())
def test_a_token_changed_in_one_place_is_refused(place: int, character: str) -> None:
    good = token()
    at = place % good.rindex(".")  # behind it stands the signature, whose last character has bits that say nothing
    changed = good[:at] + character + good[at + 1 :]
    if changed != good:
        why(changed)


@pytest.mark.parametrize("ending", ["", ".", "A", "AAAA"])
def test_a_token_with_another_signature_is_refused(ending: str) -> None:
    why(token().rsplit(".", 1)[0] + "." + ending)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
claim_names = st.sampled_from(
    ["sub", "role", "aud", "exp", "nbf", "iat", "ws", "channels", "name", "email", "jti", "iss"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(claim_names, json_values))
def test_well_signed_claims_of_any_kind_give_a_principal_or_a_refusal(claims: dict[str, Any]) -> None:
    with suppress(RequestError):
        principal, ends = LAX.verify(handsigned(claims), NOW)
        assert principal.sub.encode()
        assert ends is None or ends > NOW


# ---------------------------------------------------------------- issuing


@pytest.mark.parametrize(
    ("claims", "principal"),
    [
        ({"role": "agent", "sub": "ana"}, Principal("agent", "ana")),
        ({"role": "connector", "sub": "c", "channels": ("sms",)}, Principal("connector", "c", ("sms",))),
        (
            {"role": "contact", "sub": "k", "name": "K", "email": "k@x.no"},
            Principal("contact", "k", (), "K", "k@x.no"),
        ),
    ],
)
def test_what_the_gate_issues_it_accepts(claims: dict[str, Any], principal: Principal) -> None:
    issued = GATE.issue(**claims, now_ms=NOW + 7, ttl_ms=3_600_000)
    assert GATE.verify(issued, NOW + 7) == (principal, NOW + 3_600_007)
    assert why(issued, now=NOW + 3_600_007) == "it has expired"


def test_a_token_can_be_issued_without_end_and_for_another_workspace() -> None:
    endless = GATE.issue("agent", "ana", now_ms=NOW, ttl_ms=None)
    assert LAX.verify(endless, 10**15) == (Principal("agent", "ana"), None)
    elsewhere = GATE.issue("agent", "ana", now_ms=NOW, ttl_ms=1_000, ws="acme")
    assert Gate(secret=SECRET, workspace="acme").verify(elsewhere, NOW)[0].sub == "ana"
    assert why(elsewhere) == "it is for another workspace (ws)"


@pytest.mark.parametrize(("role", "sub"), [("connector", "c"), ("agent", ""), ("agent", "a\n"), ("boss", "b")])
def test_what_the_gate_would_refuse_it_does_not_issue(role: Any, sub: str) -> None:
    with pytest.raises(RequestError):
        GATE.issue(role, sub, now_ms=NOW, ttl_ms=1_000)


def test_without_the_secret_nothing_can_be_issued() -> None:
    with pytest.raises(RequestError, match="no shared secret"):
        Gate(public_keys=[ED.public_key()]).issue("agent", "ana", now_ms=NOW, ttl_ms=1)


# ---------------------------------------------------------------- from the configuration


def test_a_gate_is_built_from_the_configuration_and_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(ED.public_key().public_bytes(*PEM))
    config = Config(auth=AuthSettings(public_key_files=(str(path),), require_expiry=False))
    gate = Gate.from_config(config, {})
    assert gate.verify(token(ED, "EdDSA", exp=None), NOW) == (Principal("agent", "ana"), None)
    both = Gate.from_config(config, {"SIGNALBOX_SECRET": SECRET.decode()})
    assert both.verify(token(), NOW)[0].sub == "ana"


def test_a_gate_without_any_key_is_no_gate() -> None:
    with pytest.raises(ConfigError, match="no key to check tokens with: set SIGNALBOX_SECRET"):
        Gate.from_config(Config(), {})


# ---------------------------------------------------------------- keys that change


OLD, NEW = b"o" * 32, b"n" * 32


def test_two_secrets_are_accepted_and_the_first_signs() -> None:
    gate = Gate(secret=NEW, older_secrets=[OLD])
    for key in (OLD, NEW):
        assert gate.verify(token(key), NOW)[0].sub == "ana"
    issued = gate.issue("agent", "ana", now_ms=NOW, ttl_ms=1_000)
    assert Gate(secret=NEW).verify(issued, NOW)
    assert why(token(OLD), Gate(secret=NEW)) == "its signature fits no key of this server"


def named(key: Any, name: str, algorithm: str = "EdDSA") -> str:
    claims = {"sub": "ana", "role": "agent", "aud": "signalbox", "exp": NOW // 1000 + 60}
    return jwt.encode(claims, key, algorithm, headers={"kid": name})


def test_a_token_that_names_its_key_is_checked_with_that_one_alone() -> None:
    gate = Gate(public_keys={"old": OLD_ED.public_key(), "new": ED.public_key()})
    assert gate.verify(named(ED, "new"), NOW)[0].sub == "ana"
    assert why(named(ED, "old"), gate) == "its signature fits no key of this server"
    assert gate.verify(token(ED, "EdDSA"), NOW)[0].sub == "ana"


@pytest.mark.parametrize("name", ["unknown", "", "rsa"])
def test_a_name_that_is_not_ours_or_of_another_kind_of_key_is_nothing_to_go_by(name: str) -> None:
    gate = Gate(public_keys={"ed": ED.public_key(), "rsa": RSA.public_key()})
    assert gate.verify(named(ED, name), NOW)[0].sub == "ana"


def test_a_public_key_is_no_secret_by_its_name() -> None:
    gate = Gate(secret=SECRET, public_keys={"ed": ED.public_key()})
    pem = ED.public_key().public_bytes(*PEM)
    header, claims = {"alg": "HS256", "kid": "ed"}, {"sub": "ana", "role": "agent", "aud": "signalbox", "exp": 2**33}
    import hashlib
    import hmac

    unsigned = handmade(header, claims).rpartition(".")[0]
    signature = (
        base64.urlsafe_b64encode(hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    )
    assert why(f"{unsigned}.{signature}", gate) == "its signature fits no key of this server"


def test_a_token_says_when_it_was_made_or_does_not() -> None:
    assert GATE.issued_at(token(iat=NOW // 1000)) == NOW
    assert GATE.issued_at(token(iat=NOW / 1000 + 0.5)) == NOW + 500
    for made in (None, "soon", True, -1):
        assert (
            GATE.issued_at(token(iat=made) if made is not True else handmade({"alg": "HS256"}, {"iat": True})) is None
        )
    assert GATE.issued_at("no token") is None
