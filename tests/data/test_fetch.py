"""`fetch` as a whole: what is there already, several at once, mirrors, and `load` on top of it."""

import multiprocessing
import os
import threading
import time
from dataclasses import replace

import pytest
from cifar_files import CIFAR, PYTHON_10, write_archive, write_folder
from download_server import TABLE, assert_complete, get

from minise._util.lock import locked
from minise.data import download, fetch, load, places
from minise.errors import ConfigError, DataError

# ---- what is there already --------


def test_a_sound_folder_is_left_alone(server, tmp_path):
    write_folder(PYTHON_10, tmp_path)
    assert_complete(get(server, tmp_path))
    assert server.asked == []


def test_another_folder_of_that_name_is_never_overwritten(server, tmp_path):
    folder = write_folder(PYTHON_10, tmp_path)
    (folder / "data_batch_2").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"data_batch_2: MD5 .*; move the folder away to download it afresh"):
        get(server, tmp_path)
    assert (folder / "data_batch_2").read_bytes() == b"mine"


def test_a_file_in_the_place_of_the_folder_is_named(server, tmp_path):
    (tmp_path / PYTHON_10.folder).write_bytes(b"mine")
    with pytest.raises(DataError, match=r"is a file, expected a folder"):
        get(server, tmp_path)


def test_a_folder_that_was_made_for_nothing_goes_again(server, tmp_path):
    with pytest.raises(DataError):
        fetch("cifar10", tmp_path / "new", mirror="http://127.0.0.1:9/", pause=0.0, timeout=1.0)
    assert not (tmp_path / "new").exists()


def test_an_archive_that_somebody_brought_is_used_and_kept(server, tmp_path):
    write_archive(PYTHON_10, tmp_path)
    get(server, tmp_path)
    assert sorted(os.listdir(tmp_path)) == [PYTHON_10.folder, PYTHON_10.archive]
    assert server.asked == []


def test_what_a_killed_process_left_half_unpacked_is_cleared(server, tmp_path):
    (tmp_path / f".{PYTHON_10.folder}.unpacking").mkdir()
    assert_complete(get(server, tmp_path))


# ---- several at once --------


def _fetch_in_process(url, place):
    fetch("cifar10", place, mirror=url, table=TABLE, pause=0)


def test_processes_and_threads_at_once(server, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_fetch_in_process, args=(server.url, tmp_path)) for _ in range(2)]
    others += [threading.Thread(target=_fetch_in_process, args=(server.url, tmp_path)) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [process.exitcode for process in others[:2]] == [0, 0]
    assert_complete(tmp_path / PYTHON_10.folder)
    assert len(server.asked) == 1


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(20):
            with locked(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert os.listdir(tmp_path) == []


# ---- the mirror, and load --------


@pytest.mark.parametrize(
    "mirror",
    [
        "ftp://x/",
        "file:///etc",
        "/a/path",
        "http://",
        "https:///x",
        "http://x:port/",
        "http://[::1",
        "http://a b/",
    ],
)
def test_only_http_mirrors(mirror, tmp_path):
    with pytest.raises(ConfigError, match="expected an http:// or https:// address"):
        fetch("cifar10", tmp_path, mirror=mirror)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["shapes10", "mnist"])
def test_nothing_to_download(name, tmp_path):
    with pytest.raises(ConfigError, match=f"{name} is nothing to download; choose from cifar10"):
        fetch(name, tmp_path)


def test_the_mirror_from_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MINISE_MIRROR", server.url.rstrip("/"))
    assert_complete(fetch("cifar10", tmp_path, table=TABLE))


def test_load_downloads_into_the_first_place(server, tmp_path, monkeypatch):
    monkeypatch.setitem(CIFAR, "cifar10", replace(TABLE["cifar10"]))
    monkeypatch.delenv("MINISE_DATA_DIR", raising=False)
    monkeypatch.setattr(places, "checkout_folder", lambda: None)
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    given = load("cifar10", data_dir=tmp_path / "given", mirror=server.url)
    assert given.source == str(tmp_path / "given" / PYTHON_10.folder)
    assert load("cifar10", mirror=server.url).source == str(tmp_path / "cache" / PYTHON_10.folder)
    assert len(server.asked) == 2
    load("cifar10", mirror=server.url)
    assert len(server.asked) == 2


def closed(*_, **__):
    raise PermissionError(13, "Permission denied")


def test_what_is_whole_needs_no_right_to_write(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "locked", closed)
    with pytest.raises(DataError, match="cannot be used"):
        get(server, tmp_path)
    write_archive(PYTHON_10, tmp_path)
    assert get(server, tmp_path) == tmp_path / PYTHON_10.archive
    folder = write_folder(PYTHON_10, tmp_path)
    assert get(server, tmp_path) == folder
    assert server.asked == []


def test_an_empty_folder_is_filled(server, tmp_path):
    (tmp_path / PYTHON_10.folder).mkdir()
    assert_complete(get(server, tmp_path))
