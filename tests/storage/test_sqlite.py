"""What is SQLite's own: the file, the disk, the log, and other programs that have the file open."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from storage_samples import conversation, key, message

from protocol.records import Batch, ConversationById, Timeline, WebhookRecord
from storage.sqlite import MEMORY, SQLiteStore
from storage.store import StorageUnavailable, StorageUnfit


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "signalbox.db")


@pytest.fixture
def open_file() -> Iterator[Callable[..., SQLiteStore]]:
    stores: list[SQLiteStore] = []

    def open_file(path: str, **parameters: Any) -> SQLiteStore:
        store = SQLiteStore(path, **parameters)
        stores.append(store)
        store.open()
        return store

    yield open_file
    for store in stores:
        store.close()


def seqs(store: SQLiteStore) -> list[int]:
    [(entries, _)] = store.read([Timeline("c1", up_to=10**6, limit=10**6)])
    return [entry.seq for entry in entries]


def test_a_file_is_written_ahead_and_synced_at_every_commit(path: str, open_file: Any) -> None:
    connection = open_file(path)._writing()
    assert [connection.pragma("journal_mode"), connection.pragma("synchronous")] == ["wal", 2]


def test_the_folder_of_the_file_is_made(tmp_path: Path, open_file: Any) -> None:
    open_file(str(tmp_path / "a" / "b" / "s.db"))
    assert (tmp_path / "a" / "b" / "s.db").exists()


def test_a_place_where_no_file_can_be_is_unavailable(tmp_path: Path, open_file: Any) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path, tmp_path / "file" / "s.db"):
        with pytest.raises(StorageUnavailable, match=str(wrong)):
            open_file(str(wrong))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, open_file: Any) -> None:
    (tmp_path / "s.db").write_text("not a database " * 1000)
    with pytest.raises(StorageUnfit, match=r"s\.db"):
        open_file(str(tmp_path / "s.db"))


def test_a_database_of_another_program_is_refused_and_left_alone(path: str, open_file: Any) -> None:
    other = apsw.Connection(path)
    other.execute("CREATE TABLE conversations (mine)")
    with pytest.raises(StorageUnfit):
        open_file(path)
    assert [name for (name,) in other.execute("SELECT name FROM sqlite_schema")] == ["conversations"]


@pytest.mark.parametrize("where", ["file", "memory"])
def test_a_full_disk_refuses_commits_only_and_is_forgotten_when_there_is_room(
    where: str, path: str, open_file: Any
) -> None:
    store = open_file(path if where == "file" else MEMORY)
    store.commit(Batch(entries=(message(1),), records=(conversation(),)))
    connection = store._writing()
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    big = Batch(entries=(message(2, text="x" * 100_000),), records=(conversation(name="changed"),), keys=(key(),))
    for _ in range(3):
        with pytest.raises(StorageUnavailable, match="full"):
            store.commit(big)
        assert seqs(store) == [1]
        assert store.read([ConversationById("c1")]) == [conversation()]
    connection.pragma("max_page_count", 1_000_000)
    store.commit(big)
    assert seqs(store) == [1, 2]
    assert store.load().conversations == (conversation(name="changed"),)


def test_while_another_program_writes_commits_are_refused_and_reads_go_on(path: str, open_file: Any) -> None:
    store = open_file(path, busy_timeout_ms=0)
    store.commit(Batch(entries=(message(1),)))
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        store.commit(Batch(entries=(message(2),)))
    assert seqs(store) == [1]
    other.execute("ROLLBACK")
    store.commit(Batch(entries=(message(2),)))
    assert seqs(store) == [1, 2]


def test_reads_of_a_file_do_not_wait_for_a_commit(path: str, open_file: Any) -> None:
    store = open_file(path)
    store.commit(Batch(entries=(message(1),)))
    with store._write_lock:  # a commit that takes its time, with its row already written
        store._writing().execute("BEGIN IMMEDIATE; UPDATE commits SET number = 99")
        found: list[list[int]] = []
        reader = threading.Thread(target=lambda: found.append(seqs(store)))
        reader.start()
        reader.join()
        store._writing().execute("ROLLBACK")
    assert found == [[1]]


@pytest.mark.parametrize("value", [2**70, "five", b"five"])
def test_a_value_that_no_column_takes_is_the_batchs_fault(value: Any, path: str, open_file: Any) -> None:
    store = open_file(path)
    with pytest.raises(ValueError, match="SQLite does not take"):
        store.commit(
            Batch(entries=(message(1),), records=(WebhookRecord(id=value, conversation="c", url="u", body=""),))
        )
    store.commit(Batch(entries=(message(1),)))
    assert seqs(store) == [1]


def test_a_file_system_without_shared_memory_is_refused(path: str, open_file: Any) -> None:
    """SQLite would quietly go on without its log: readers would stop the writer."""
    plain = apsw.VFS("without_memory", base="unix-dotfile", makedefault=True)
    try:
        with pytest.raises(StorageUnfit, match="local disk"):
            open_file(path)
    finally:
        plain.unregister()


# ---------------------------------------------------------------- a disk that fails


class FailingDisk(apsw.VFS):
    """A file system of which one call fails: ``fail = "xSync"`` or ``"xWrite"``, of the log, with this ``problem``."""

    def __init__(self) -> None:
        self.fail: str | None = None
        self.problem: type[apsw.Error] = apsw.IOError
        super().__init__("failing", base="unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        return _FailingFile(self, name, flags)


class _FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._maybe_fail("xSync")
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._maybe_fail("xWrite")
        super().xWrite(data, offset)

    def _maybe_fail(self, call: str) -> None:
        if self._is_log and self._disk.fail == call:
            raise self._disk.problem()


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    disk = FailingDisk()
    yield disk
    disk.unregister()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # apsw reports the fault as well
@pytest.mark.parametrize("problem", [apsw.IOError, apsw.FullError, apsw.NoMemError])
@pytest.mark.parametrize("call", ["xSync", "xWrite"])
def test_a_commit_that_the_disk_refused_stays_away_even_after_a_crash(
    call: str, problem: Any, disk: FailingDisk, path: str, tmp_path: Path, open_file: Any
) -> None:
    store = open_file(path)
    store.commit(Batch(entries=(message(1),)))
    disk.fail, disk.problem = call, problem
    with pytest.raises(StorageUnavailable):
        store.commit(Batch(entries=(message(2),), records=(conversation(),)))
    assert seqs(store) == [1]
    (tmp_path / "crash").mkdir()
    for file in (path, path + "-wal"):  # what a process that dies now leaves behind
        shutil.copy(file, tmp_path / "crash")
    disk.fail = None
    assert seqs(open_file(str(tmp_path / "crash" / "signalbox.db"))) == [1]
    store.commit(Batch(entries=(message(2, text="again"),)))
    assert seqs(store) == [1, 2]
