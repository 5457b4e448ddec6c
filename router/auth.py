"""The gate: who a token is for, or why it is not accepted. [protocol §2]

A key decides which algorithm it may be used with, never the token: the shared secret does HS256 and nothing else,
an Ed25519 key EdDSA, an RSA key RS256. So ``alg: none`` finds no key, and a public key can never be taken for a
secret. There may be several of each: keep the old one beside the new one until its tokens have expired. A token that
names its public key (``kid``, the file's name without suffix) is checked with that one, else all are tried in turn.

Time is an argument: PyJWT checks signatures here, the claims are checked below. What a refusal says never
contains the token or anything from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from protocol.errors import RequestError, refused
from protocol.ids import ROLES, Principal, Role, is_printable
from router.config import Config, ConfigError
from router.keys import SECRET, SECRET_BYTES_MIN, SECRET_FILE, PublicKey, algorithm_of, read_public_keys, read_secrets

AUDIENCE = "signalbox"
TOKEN_CHARACTERS_MAX = 16_384
SUB_MAX, EMAIL_MAX = 200, 320
#: the latest expiry that is read; later ones are a mistake in the unit (milliseconds for seconds)
EXPIRY_S_MAX = 10**11
#: the claims are checked here, against the given now; PyJWT would take the wall clock
_ONLY_SIGNATURE: Any = {"verify_signature": True} | dict.fromkeys(
    ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False
)
#: what PyJWT and the JSON parser under it raise at bytes that strangers made
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Gate:
    """Checks tokens, and issues them with the shared secret. Immutable; one serves all connections."""

    __slots__ = ("_keys", "_named", "_require_expiry", "_secret", "workspace")

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        older_secrets: Sequence[bytes] = (),
        public_keys: Sequence[PublicKey] | Mapping[str, PublicKey] = (),
        workspace: str = "main",
        require_expiry: bool = True,
    ) -> None:
        self.workspace = workspace
        self._secret = secret
        self._require_expiry = require_expiry
        self._keys: dict[str, list[Any]] = {}
        if secret is not None:
            self._keys["HS256"] = [secret, *older_secrets]
        self._named = dict(public_keys) if isinstance(public_keys, Mapping) else {}
        for key in self._named.values() if isinstance(public_keys, Mapping) else public_keys:
            self._keys.setdefault(algorithm_of(key), []).append(key)

    @classmethod
    def from_config(cls, config: Config, environ: Mapping[str, str]) -> Gate:
        """The gate that the configuration and the environment's secrets describe.

        Raises ConfigError: an unfit secret or key file, or neither of them given.
        """
        secret, *older = read_secrets(environ) or (None,)
        keys = read_public_keys(config.auth.public_key_files)
        if secret is None and not keys:
            text = f"no key to check tokens with: set {SECRET} (at least {SECRET_BYTES_MIN} bytes) or {SECRET_FILE}"
            raise ConfigError([f"{text}, or name auth.public_key_files"])
        auth = config.auth
        return cls(
            secret=secret,
            older_secrets=[each for each in older if each is not None],
            public_keys=keys,
            workspace=config.workspace.id,
            require_expiry=auth.require_expiry,
        )

    def verify(self, token: str, now_ms: int) -> tuple[Principal, int | None]:
        """Who the token is for, and the tick at which it ends (None = never).

        Raises RequestError (unauthenticated) with a sentence that says what is wrong.
        """
        claims = self._claims(token)
        expires_at = self._expiry(claims, now_ms)
        audience = claims.get("aud")
        named = AUDIENCE in audience if isinstance(audience, list) else audience == AUDIENCE
        _check(named, f'aud must be "{AUDIENCE}"')
        _check(claims.get("ws", "main") == self.workspace, "it is for another workspace (ws)")
        return principal_of(claims), expires_at

    @property
    def tokens_end(self) -> bool:
        """Whether a token without an end is refused."""
        return self._require_expiry

    def issued_at(self, token: str) -> int | None:
        """When a token that was verified was made (``iat``, as a tick); None = it does not say."""
        try:
            claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
            return _tick(claims, "iat")
        except (*_UNREADABLE, RequestError):
            return None

    def issue(
        self,
        role: Role,
        sub: str,
        *,
        now_ms: int,
        ttl_ms: int | None,
        ws: str | None = None,
        channels: Sequence[str] = (),
        email: str | None = None,
        name: str | None = None,
    ) -> str:
        """A token signed with the shared secret; ``ttl_ms`` None = without end, ``ws`` None = this workspace.

        Raises RequestError (unauthenticated) for claims that ``verify`` would refuse, and without a secret.
        """
        _check(self._secret is not None, "there is no shared secret to sign it with")
        claims: dict[str, Any] = {"sub": sub, "role": role, "ws": ws or self.workspace, "aud": AUDIENCE}
        claims |= {"channels": list(channels)} if channels else {}
        claims |= {key: value for key, value in (("email", email), ("name", name)) if value is not None}
        claims["iat"] = now_ms // 1000
        if ttl_ms is not None:
            claims["exp"] = (now_ms + ttl_ms) / 1000
        principal_of(claims)
        return jwt.encode(claims, self._secret or b"", algorithm="HS256")

    def _claims(self, token: str) -> dict[str, Any]:
        """What the token says, once a key of this server has vouched for it."""
        _check(isinstance(token, str) and len(token) <= TOKEN_CHARACTERS_MAX, "it is too long")
        try:
            header = jwt.get_unverified_header(token)
            algorithm = str(header.get("alg"))
        except _UNREADABLE:
            raise _unfit("it is not a JSON Web Token") from None
        keys = self._fitting(algorithm, header.get("kid"))
        _check(bool(keys), f"its algorithm is not accepted; this server takes {', '.join(self._keys)}")
        for key in keys:
            try:
                claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options=_ONLY_SIGNATURE)
                return claims
            except jwt.InvalidSignatureError:
                continue
            except _UNREADABLE:
                raise _unfit("it cannot be read") from None
        raise _unfit("its signature fits no key of this server")

    def _fitting(self, algorithm: str, name: Any) -> list[Any]:
        """The keys to try: the one that the token names, if it is ours and of that algorithm, else all of that."""
        keys = self._keys.get(algorithm, [])
        named = self._named.get(name) if isinstance(name, str) else None
        return [named] if any(key is named for key in keys) else keys

    def _expiry(self, claims: dict[str, Any], now_ms: int) -> int | None:
        starts, ends = _tick(claims, "nbf"), _tick(claims, "exp")
        _check(ends is not None or not self._require_expiry, "it has no expiry (exp)")
        _check(ends is None or now_ms < ends, "it has expired")
        _check(starts is None or starts <= now_ms, "it is not valid yet (nbf)")
        return ends


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """Who these claims name. Raises RequestError (unauthenticated)."""
    role, sub, channels = claims.get("role"), claims.get("sub"), claims.get("channels")
    _check(role in ROLES, f"role must be one of {', '.join(ROLES)}")
    _check(_is_text(sub, SUB_MAX), f"sub must be 1 to {SUB_MAX} printable characters")
    if role == "connector":
        if not isinstance(channels, list) or not channels or not all(_is_text(item, SUB_MAX) for item in channels):
            raise _unfit("a connector's token needs channels, a list of at least one name")
        return Principal("connector", str(sub), channels=tuple(channels))
    if role == "contact":
        name, email = claims.get("name"), claims.get("email")
        _check(name is None or _is_text(name, SUB_MAX), f"name must be 1 to {SUB_MAX} printable characters")
        _check(email is None or _is_text(email, EMAIL_MAX), f"email must be 1 to {EMAIL_MAX} printable characters")
        return Principal("contact", str(sub), name=name, email=email)
    return Principal("agent" if role == "agent" else "backend", str(sub))


def _tick(claims: Mapping[str, Any], name: str) -> int | None:
    """A claim in seconds since 1970 as a tick; None if it is not there."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= EXPIRY_S_MAX:
        raise _unfit(f"{name} must be a number of seconds since 1970")
    return round(value * 1000)


def _is_text(value: Any, longest: int) -> bool:
    """True for text that may stand in an id: JSON's ``\\ud800`` alone is none, it has no UTF-8."""
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not is_printable(value):
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _check(holds: bool, wrong: str) -> None:
    if not holds:
        raise _unfit(wrong)


def _unfit(wrong: str) -> RequestError:
    return refused("unauthenticated", f"the token is not accepted: {wrong}")
