"""`minise data`: list, fetch, verify, show. No network: a closed port, or a server in this process."""

import http.server
import json
import os
import re
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from cli_runs import failed, lines, minise, succeeded
from minise_cli.render import images as draw

from minise.data import DATASETS


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINISE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MINISE_MIRROR", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def server(tmp_path):
    """The address of a folder on a server: tmp_path/served."""
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "served"))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def python_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(b"not the real thing")


class TestList:
    def test_table(self):
        out = succeeded(minise("data", "list"))
        for name, spec in DATASETS.items():
            assert name in out
            assert f"{spec.train:,}" in out
        assert re.search("minise data fetch cifar10 *$", out, re.MULTILINE)
        assert "generated" in out

    def test_json(self, tmp_path):
        python_files(tmp_path / "data" / "cifar-10-batches-py")
        rows = {row["name"]: row for row in lines(minise("data", "list", "--json"))}
        assert list(rows) == list(DATASETS)
        assert rows["cifar10"]["path"] == str(tmp_path / "data" / "cifar-10-batches-py")
        assert rows["cifar10"]["ready"] is True
        assert rows["cifar100"]["path"] is None
        assert rows["cifar100"]["how"] == "minise data fetch cifar100"
        assert (rows["shapes10"]["ready"], rows["shapes10"]["classes"]) == (True, 10)


class TestFetch:
    def test_generated_data_needs_none(self):
        assert "nothing to fetch" in succeeded(minise("data", "fetch", "shapes10"))

    def test_a_closed_port_is_one_line(self):
        failed(minise("data", "fetch", "cifar10", "--mirror", "http://127.0.0.1:9"), 1, "127.0.0.1:9")

    def test_a_404_is_one_line(self, server):
        failed(minise("data", "fetch", "cifar10", "--mirror", server), 1, "404", server)

    def test_a_wrong_archive_is_one_line_after_the_progress(self, server, tmp_path):
        (tmp_path / "served" / "cifar-100-python.tar.gz").write_bytes(b"x" * 3_000_000)
        result = minise("data", "fetch", "cifar100", "--mirror", server)
        assert result.exit_code == 1
        first, second, last = result.stderr.splitlines()
        assert first == "downloading (3 MB) …"
        assert second == "downloaded 3 MB"
        assert last.startswith("error: ")
        assert "MD5" in last
        assert result.stdout == ""

    def test_a_folder_that_cannot_be_made_is_one_line(self, tmp_path, server):
        (tmp_path / "file").write_text("")
        failed(minise("data", "fetch", "cifar10", "--data-dir", "file/x", "--mirror", server), 1, "file")

    def test_it_is_for_a_folder_that_somebody_filled(self, tmp_path, server):
        python_files(tmp_path / "data" / "cifar-10-batches-py")
        failed(minise("data", "fetch", "cifar10", "--mirror", server), 1, "data_batch_1", "MD5")


class TestVerify:
    def test_nothing_there(self):
        failed(minise("data", "verify", "cifar10"), 1, "cifar10 is not in", "minise data fetch cifar10")

    def test_generated(self):
        assert "nothing to verify" in succeeded(minise("data", "verify", "shapes10"))

    def test_wrong_and_missing_files(self, tmp_path):
        folder = tmp_path / "data" / "cifar-10-batches-py"
        python_files(folder)
        (folder / "test_batch").unlink()
        result = minise("data", "verify", "cifar10")
        failed(result, 1, "6 of 6 files")
        assert result.stdout.count(" differs") == 5
        assert result.stdout.count(" missing") == 1
        result = minise("data", "verify", "cifar10", "--json")
        failed(result, 1, "6 of 6 files")
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert [row["ok"] for row in rows] == [False] * 6
        assert rows[-1]["found"] is None

    @pytest.mark.cifar
    @pytest.mark.parametrize("name", ["cifar10", "cifar100", "cifar100-coarse"])
    def test_the_official_files(self, name, monkeypatch):
        out = succeeded(minise("data", "verify", name, "--data-dir", REAL))
        assert "official" in out
        assert "differs" not in out


REAL = os.environ.get("MINISE_DATA_DIR")


class TestShow:
    def test_png(self, tmp_path):
        args = ("--columns", 4, "--rows", 2, "--out", "sheet.png", "--split", "test")
        assert succeeded(minise("data", "show", "shapes10", *args)) == "8 images in sheet.png\n"
        content = (tmp_path / "sheet.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert struct.unpack(">II", content[16:24]) == (4 * 34 + 2, 2 * 34 + 2)

    def test_one_class(self, tmp_path):
        succeeded(minise("data", "show", "shapes10", "--label", "star", "--out", "sheet.png"))
        assert (tmp_path / "sheet.png").exists()

    def test_a_file_that_cannot_be_written_is_one_line(self):
        failed(minise("data", "show", "shapes10", "--out", "no/such/sheet.png"), 1, "no/such/sheet.png")

    @pytest.mark.parametrize("columns", [1, 5, 70])
    def test_in_a_terminal(self, columns, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        images = np.random.default_rng(0).integers(0, 256, (columns + 1, 3, 32, 32), np.uint8)
        draw.draw_images(images, ["thing"] * len(images), columns)
        rows = capsys.readouterr().out.splitlines()
        assert max(map(len, rows)) <= 80
        assert any("thin" in row for row in rows)

    def test_shrinking_takes_means(self):
        image = np.arange(3 * 32 * 32).reshape(3, 32, 32).astype(np.uint8)
        assert (draw.shrink(image, 32) == image).all()
        assert draw.shrink(np.full((3, 32, 32), 77, np.uint8), 13).tolist() == [[[77] * 13] * 13] * 3
        quarter = image.reshape(3, 16, 2, 16, 2).mean(axis=(2, 4))
        assert np.abs(draw.shrink(image, 16) - quarter).max() <= 0.5
