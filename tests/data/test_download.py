"""Downloads from a local server that behaves, and from one that does not."""

import errno
import os
import re
from pathlib import Path

import pytest
from cifar_files import (
    PYTHON_10,
)
from download_server import ARCHIVE, SIZE, TABLE, Server, assert_complete, get

from minise.data import fetch, transfer
from minise.errors import DataError


def part(place):
    return place / f"{PYTHON_10.archive}.part"


def test_downloads_unpacks_and_reports(server, tmp_path):
    seen = []
    folder = get(server, tmp_path / "new" / "place", progress=lambda *args: seen.append(args))
    assert_complete(folder)
    assert seen[0] == (0, SIZE)
    assert seen[-1] == (SIZE, SIZE)
    assert server.asked == [(f"/mirror/{PYTHON_10.archive}", None, None)]


def test_a_connection_that_breaks_is_resumed_where_it_broke(server, tmp_path):
    server.plan = ["drop", "drop"]
    assert_complete(get(server, tmp_path))
    starts = [SIZE // 2, SIZE // 2 + (SIZE - SIZE // 2) // 2]
    assert [asked[1] for asked in server.asked] == [None, *(f"bytes={start}-" for start in starts)]
    assert [asked[2] for asked in server.asked] == [None, '"1"', '"1"']


def test_a_file_that_changed_in_between_starts_over(server, tmp_path):
    server.plan = ["drop"]
    server.body = bytes(SIZE)

    def change(done, total):
        server.body, server.etag = ARCHIVE, '"2"'

    assert_complete(get(server, tmp_path, progress=change))


@pytest.mark.parametrize("have", [1, SIZE // 2, SIZE - 1])
def test_the_next_try_resumes_what_the_last_one_left(server, tmp_path, have):
    part(tmp_path).write_bytes(ARCHIVE[:have])
    seen = []
    assert_complete(get(server, tmp_path, progress=lambda *args: seen.append(args)))
    assert server.asked[0][1] == f"bytes={have}-"
    assert seen[0] == (have, SIZE)


def test_a_server_that_gives_up_leaves_the_part_and_says_so(server, tmp_path):
    server.plan = ["drop"] + ["hang up"] * 10
    with pytest.raises(
        DataError, match=r"half|bytes so far are kept in .*\.part, and the next try resumes"
    ) as e:
        get(server, tmp_path)
    assert "\n" not in str(e.value)
    assert part(tmp_path).read_bytes() == ARCHIVE[: SIZE // 2]
    assert len(server.asked) == transfer.TRIES
    server.plan = []
    assert_complete(get(server, tmp_path))


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    part(tmp_path).write_bytes(b"something else")
    assert_complete(get(server, tmp_path))


def test_an_answer_with_another_range_is_not_glued_on(server, tmp_path):
    part(tmp_path).write_bytes(ARCHIVE[:1000])
    server.plan = ["wrong range"]
    assert_complete(get(server, tmp_path))
    assert [asked[1] for asked in server.asked] == ["bytes=1000-", None]


def test_a_part_that_is_whole_is_not_asked_for(server, tmp_path):
    part(tmp_path).write_bytes(ARCHIVE)
    assert_complete(get(server, tmp_path))
    assert server.asked == []


def test_a_part_that_is_too_long_starts_over(server, tmp_path):
    part(tmp_path).write_bytes(ARCHIVE + b"more")
    assert_complete(get(server, tmp_path))  # 416 tells


def test_a_part_as_long_as_the_file_but_wrong_starts_over(server, tmp_path):
    part(tmp_path).write_bytes(bytes(SIZE))
    assert_complete(get(server, tmp_path))
    assert [asked[1] for asked in server.asked] == [f"bytes={SIZE}-", None]


def test_no_content_length(server, tmp_path):
    server.length = False
    seen = []
    assert_complete(get(server, tmp_path, progress=lambda *args: seen.append(args)))
    assert seen[-1] == (SIZE, None)


def test_a_wrong_checksum_deletes_and_names_both_and_the_way_out(server, tmp_path):
    server.body = ARCHIVE[:-1] + b"x"
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    expected = TABLE["cifar10"].forms[0].archive_md5
    assert re.search(rf"MD5 [0-9a-f]{{32}}, expected {expected}; deleted.*--mirror", str(caught.value))
    assert os.listdir(tmp_path) == []


def test_not_found_is_final(server, tmp_path):
    server.plan = [404]
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz: the server answered 404 Not Found"):
        get(server, tmp_path)
    assert len(server.asked) == 1
    assert os.listdir(tmp_path) == []


def test_unavailable_is_tried_again(server, tmp_path):
    server.plan = [503, 429, "hang up"]
    assert_complete(get(server, tmp_path))


def test_a_silent_server_times_out(server, tmp_path):
    server.plan = ["hang"]
    assert_complete(get(server, tmp_path, timeout=0.2))


def test_redirects_are_followed(server, tmp_path):
    server.plan = ["redirect"]
    assert_complete(get(server, tmp_path))


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as closed:
        url = closed.url
    with pytest.raises(DataError, match=f"^{url}.*Connection refused; nothing has arrived"):
        fetch("cifar10", tmp_path, mirror=url, table=TABLE, pause=0)


def test_more_than_any_archive_has(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="more than 1000 bytes, expected a CIFAR archive"):
        get(server, tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk(server, tmp_path):
    part(tmp_path).symlink_to("/dev/full")
    with pytest.raises(
        DataError, match=r"\.part: cannot be written \(No space left on device\); kept as it is"
    ):
        get(server, tmp_path)
    assert os.listdir(tmp_path) == [part(tmp_path).name]


def test_a_disk_that_fills_up_while_unpacking_leaves_only_the_part(server, tmp_path, monkeypatch):
    write = Path.write_bytes

    def full(path, data):
        if path.name == "data_batch_3":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"cannot be unpacked \(No space left on device\); .*\.part is kept"):
        get(server, tmp_path)
    assert os.listdir(tmp_path) == [part(tmp_path).name]
    monkeypatch.undo()
    assert_complete(get(server, tmp_path))
    assert len(server.asked) == 1


def test_a_place_that_cannot_be(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.*: cannot be used"):
        get(server, tmp_path / "file" / "folder")


def test_ctrl_c_leaves_the_part(server, tmp_path):
    def press(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, progress=press)
    assert os.listdir(tmp_path) == [part(tmp_path).name]
    assert_complete(get(server, tmp_path))
