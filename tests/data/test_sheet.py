"""Contact sheets and PNG files."""

import struct
import zlib

import numpy as np
import pytest

from minise.data import contact_sheet, write_png
from minise.errors import ConfigError, DataError


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)


def test_a_sheet_holds_every_image_in_its_place():
    x = images(7)
    sheet = contact_sheet(x, 3)
    assert (sheet.dtype, sheet.shape) == (np.uint8, (3 * 34 + 2, 3 * 34 + 2, 3))
    for i in range(7):
        top, left = 2 + i // 3 * 34, 2 + i % 3 * 34
        np.testing.assert_array_equal(sheet[top : top + 32, left : left + 32], x[i].transpose(1, 2, 0))
    assert (sheet[70:, 36:] == 255).all()
    assert (sheet[:2] == 255).all()
    assert (sheet[:, -2:] == 255).all()


def test_a_sheet_without_gaps():
    assert contact_sheet(images(4), 2, gap=0).shape == (64, 64, 3)


def test_a_sheet_needs_a_column():
    with pytest.raises(ConfigError, match="columns 0: expected a number >= 1"):
        contact_sheet(images(1), 0)


def test_a_png_reads_back(tmp_path):
    picture = contact_sheet(images(3), 2)
    write_png(tmp_path / "sheet.png", picture)
    data = (tmp_path / "sheet.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body, crc = (
            data[at + 4 : at + 8],
            data[at + 8 : at + 8 + size],
            data[at + 8 + size : at + 12 + size],
        )
        assert struct.unpack(">I", crc)[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert (rows[:, 0] == 0).all()
    np.testing.assert_array_equal(rows[:, 1:].reshape(height, width, 3), picture)


def test_a_png_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=r"x.png: cannot be written \(No such file or directory\)"):
        write_png(tmp_path / "no" / "x.png", contact_sheet(images(1), 1))
