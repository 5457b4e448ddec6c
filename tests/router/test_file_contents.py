"""Contents on disk: whole or not at all, by ids that are no paths; and what is left over is found."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.records import FileById, FileRecord
from router.config import load
from router.files.contents import Folder, new_id
from router.files.kind import is_allowed, kind_of
from router.files.upkeep import directory, sweep


async def chunks(*parts: bytes, fails: bool = False) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if fails:
        raise RuntimeError("the peer left")


async def content(folder: Folder, name: str) -> bytes:
    return b"".join([chunk async for chunk in folder.read(name)])


def files_below(path: Path) -> list[str]:
    return sorted(found.name for found in path.rglob("*") if found.is_file())


async def test_what_is_written_is_read_until_it_is_deleted(tmp_path):
    folder, name = Folder(tmp_path), new_id()
    assert await folder.write(name, chunks(b"ab", b"c")) == 3
    assert (await content(folder, name), await folder.start(name, 2)) == (b"abc", b"ab")
    assert files_below(tmp_path) == [name]
    await folder.delete(name)
    await folder.delete(name)
    assert files_below(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        await content(folder, name)


async def test_a_broken_upload_leaves_nothing(tmp_path):
    folder = Folder(tmp_path)
    with pytest.raises(RuntimeError):
        await folder.write(new_id(), chunks(b"ab", fails=True))
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "a/../../b", "short", "x" * 65, "a" * 30 + ".part", "é" * 24]
)
async def test_what_is_no_id_is_nowhere(tmp_path, name):
    folder = Folder(tmp_path / "files")
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(FileNotFoundError):
        await content(folder, name)
    with pytest.raises(FileNotFoundError):
        await folder.write(name, chunks(b"x"))
    with pytest.raises(FileNotFoundError):
        await folder.delete(name)
    assert files_below(tmp_path) == ["secret"]


def test_ids_are_all_different_and_are_ids():
    names = {new_id() for _ in range(1_000)}
    assert len(names) == 1_000
    assert {len(name) for name in names} == {24}


async def test_a_sweep_deletes_what_nobody_knows_and_what_a_crash_left_half_but_nothing_young(tmp_path):
    folder = Folder(tmp_path)
    known, deleted, unknown, young = (new_id() for _ in range(4))
    for name in (known, deleted, unknown, young):
        await folder.write(name, chunks(b"x"))
    (tmp_path / "p").mkdir(exist_ok=True)
    half = tmp_path / "p" / ("p" * 24 + ".part")
    half.write_bytes(b"x")
    long_ago = time.time() - 7_200
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != young:
            os.utime(path, (long_ago, long_ago))

    async def read(questions):
        records = {name: record(name, deleted=name == deleted) for name in (known, deleted)}
        assert all(isinstance(question, FileById) for question in questions)
        return [records.get(question.id) for question in questions]

    assert await sweep(folder, read) == 2
    assert files_below(tmp_path) == sorted([known, young])


def record(name: str, *, deleted: bool) -> FileRecord:
    return FileRecord(id=name, owner="agent:ana", name="x", type="text/plain", size=1, created_at=0, deleted=deleted)


@pytest.mark.parametrize(
    ("start", "name", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(20), "note.txt", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(20), "", "image/jpeg"),
        (b"%PDF-1.7\n%", "plan.pdf", "application/pdf"),
        (b"Dear all,\n\tsee you \xe2\x82\xac", "note", "text/plain"),
        (b"<html><script>alert(1)</script>", "photo.png", "text/html"),
        (b"\xef\xbb\xbf  <svg\nonload='x'>", "a.svg", "text/html"),
        (b"MZ\x90\0" + bytes(60), "photo.png", "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "photo.png", None),
        (b"\0\1\2\3 nothing known", "photo.png", "application/octet-stream"),
    ],
)  # fmt: skip
def test_a_type_is_told_by_the_contents(start, name, kind):
    found = kind_of(start, name)
    assert found == kind or (kind is None and not is_allowed(found, load(None, {}).files.types))


def test_text_that_is_cut_within_a_character_is_text():
    assert kind_of(("x" * 8_191 + "€").encode()[:8_192], "") == "text/plain"
    assert kind_of("€".encode()[:2], "") == "application/octet-stream"


def test_what_could_run_in_a_browser_is_not_taken():
    types = load(None, {}).files.types
    for kind in ("text/html", "image/svg+xml", "application/octet-stream", "application/javascript"):
        assert not is_allowed(kind, types)
    for kind in ("image/png", "video/mp4", "text/plain", "application/pdf"):
        assert is_allowed(kind, types)


def test_files_lie_beside_the_sqlite_file_unless_told_otherwise():
    assert directory(load(None, {"SIGNALBOX_STORE": "sqlite:////var/lib/box/a.db"})) == Path("/var/lib/box/files")
    assert directory(load(None, {"SIGNALBOX_STORE": "postgresql://h/d"})) == Path("data/files")
    config = load(None, {"SIGNALBOX_FILES_DIRECTORY": "/srv/files"})
    assert directory(config) == Path("/srv/files")
