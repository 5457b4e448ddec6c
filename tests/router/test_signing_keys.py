"""Where the keys come from, and which are refused. Nothing that is said shows a secret."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from router.config import ConfigError
from router.keys import SECRET_BYTES_MIN, algorithm_of, read_public_key, read_public_keys, read_secret, read_secrets

SECRET = b"0123456789abcdef0123456789abcdef"
ED = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65_537, 2_048)
PEM = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PRIVATE = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def test_the_secret_comes_from_the_environment_or_the_file_it_names(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\r\n")
    assert read_secret({"SIGNALBOX_SECRET": SECRET.decode()}) == SECRET
    assert read_secret({"SIGNALBOX_SECRET_FILE": str(file)}) == SECRET
    assert read_secret({"SIGNALBOX_SECRET": "", "HOME": "/"}) is None


def complaint(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        read_secret(environ)
    [problem] = caught.value.problems
    return problem


def test_a_secret_that_cannot_be_used_is_refused_without_showing_it(tmp_path: Path) -> None:
    short = "hush" * 7
    assert complaint({"SIGNALBOX_SECRET": short}) == "SIGNALBOX_SECRET: expected at least 32 bytes, found 28"
    assert complaint({"SIGNALBOX_SECRET_FILE": str(tmp_path / "no")}).endswith("No such file or directory")
    assert "not both" in complaint({"SIGNALBOX_SECRET": "x" * 32, "SIGNALBOX_SECRET_FILE": "x"})
    pem = RSA.public_key().public_bytes(*PEM).decode()
    assert complaint({"SIGNALBOX_SECRET": pem}).endswith("expected random bytes, found a key or certificate")
    assert len(SECRET) == SECRET_BYTES_MIN


def test_public_keys_are_read_from_pem_files(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    for key, algorithm in ((ED, "EdDSA"), (RSA, "RS256")):
        path.write_bytes(key.public_key().public_bytes(*PEM))
        read = read_public_key(str(path))
        assert algorithm_of(read) == algorithm
        assert read.public_bytes(*PEM) == path.read_bytes()


def test_other_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    others = [
        ED.private_bytes(*PRIVATE),
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*PEM),
        rsa.generate_private_key(65_537, 1_024).public_key().public_bytes(*PEM),
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ]
    for content in others:
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="expected a PEM file with a public key"):
            read_public_key(str(path))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_public_key(str(tmp_path / "none"))


def test_there_may_be_several_secrets_and_the_first_signs(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    new, old = b"n" * 32, b"old " * 8
    file.write_bytes(new + b"\r\n\n" + old + b"\n")
    assert read_secrets({"SIGNALBOX_SECRET_FILE": str(file)}) == (new, old)
    assert read_secret({"SIGNALBOX_SECRET_FILE": str(file)}) == new
    assert read_secrets({"SIGNALBOX_SECRET": f"{new.decode()}\n{old.decode()}"}) == (new, old)
    assert read_secrets({}) == ()


def test_each_of_several_secrets_must_be_fit(tmp_path: Path) -> None:
    assert complaint({"SIGNALBOX_SECRET": "n" * 32 + "\nshort"}).endswith("expected at least 32 bytes, found 5")
    assert complaint({"SIGNALBOX_SECRET": "\n\n"}).endswith("expected at least 32 bytes, found 0")


def test_public_keys_are_called_as_their_files(tmp_path: Path) -> None:
    paths = [tmp_path / "2026-11.pem", tmp_path / "old.public.pem"]
    for path, key in zip(paths, (ED, RSA), strict=True):
        path.write_bytes(key.public_key().public_bytes(*PEM))
    assert list(read_public_keys([str(path) for path in paths])) == ["2026-11", "old.public"]
    with pytest.raises(ConfigError, match="another file is called old"):
        read_public_keys([str(paths[1]), str(paths[1])])
