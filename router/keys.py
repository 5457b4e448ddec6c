"""The keys that vouch for tokens: shared secrets and public keys, and where they are read from.

Secrets come from ``SIGNALBOX_SECRET`` or the file that ``SIGNALBOX_SECRET_FILE`` names, one a line: never from a flag,
which every process of the machine can see, nor from the configuration file, which gets copied around. The first signs,
all are accepted: so a new one is put in front, and the old one taken out when its tokens are over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import jwt

from router.config import ConfigError

if TYPE_CHECKING:  # the library is large, and only needed where there are public keys
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PublicKey: TypeAlias = "Ed25519PublicKey | RSAPublicKey"

SECRET, SECRET_FILE = "SIGNALBOX_SECRET", "SIGNALBOX_SECRET_FILE"
WEBHOOK_SECRET = "SIGNALBOX_WEBHOOK_SECRET"  # and SIGNALBOX_WEBHOOK_SECRET_FILE
SECRET_BYTES_MIN = 32
RSA_BITS_MIN = 2_048


def read_secret(environ: Mapping[str, str], variable: str = SECRET) -> bytes | None:
    """The first secret, which signs; None = none is set. Raises ConfigError."""
    return next(iter(read_secrets(environ, variable)), None)


def read_secrets(environ: Mapping[str, str], variable: str = SECRET) -> tuple[bytes, ...]:
    """The secrets from the environment or the file it names; none if neither is set. Raises ConfigError."""
    file_variable = f"{variable}_FILE"
    text, path = environ.get(variable), environ.get(file_variable)
    if text and path:
        raise ConfigError([f"{variable}: set it or {file_variable}, not both"])
    if path:
        lines, name = _read(path, file_variable), file_variable
    elif text:
        lines, name = os.fsencode(text), variable
    else:
        return ()
    try:
        jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).prepare_key(lines)
    except jwt.InvalidKeyError:  # a public key or certificate: known to the world, anybody could sign with it
        raise ConfigError([f"{name}: expected random bytes, found a key or certificate"]) from None
    secrets = tuple(line.rstrip(b"\r") for line in lines.split(b"\n") if line.rstrip(b"\r"))
    for secret in secrets or (b"",):
        if len(secret) < SECRET_BYTES_MIN:
            raise ConfigError([f"{name}: expected at least {SECRET_BYTES_MIN} bytes, found {len(secret)}"])
    return secrets


def read_public_keys(paths: Sequence[str]) -> dict[str, PublicKey]:
    """Public keys by their id (``kid``), which is the file's name without its last suffix. Raises ConfigError."""
    keys: dict[str, PublicKey] = {}
    for path in paths:
        if (name := Path(path).stem) in keys:
            raise ConfigError(
                [f"auth.public_key_files: {path}: another file is called {name} too, and the name is its id"]
            )
        keys[name] = read_public_key(path)
    return keys


def read_public_key(path: str) -> PublicKey:
    """A public key in PEM. Raises ConfigError if it cannot be read or is of no kind that is accepted."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    where = f"auth.public_key_files: {path}"
    try:
        key: Any = load_pem_public_key(_read(path, where))
        algorithm_of(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        expected = f"expected a PEM file with a public key, Ed25519 or RSA of at least {RSA_BITS_MIN} bits"
        raise ConfigError([f"{where}: {expected}"]) from None
    fit: PublicKey = key
    return fit


def algorithm_of(key: PublicKey) -> str:
    """The one algorithm a public key is used with. Raises TypeError for any other kind, or an RSA key too short."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS_MIN:
        return "RS256"
    raise TypeError("neither an Ed25519 key nor an RSA key of sufficient length")


def _read(path: str, where: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise ConfigError([f"{where}: cannot be read: {os.strerror(problem.errno or 0)}"]) from None
