"""Images for people: a contact sheet, and a PNG writer that needs nothing beyond zlib."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minise.errors import ConfigError, DataError


def contact_sheet(images: NDArray[np.uint8], columns: int, *, gap: int = 2) -> NDArray[np.uint8]:
    """Images (n, 3, h, w) side by side, `columns` to a row, as one picture (H, W, 3) for a screen or a file.

    H = rows·(h + gap) + gap, W likewise; gaps and empty places are white. Raises ConfigError unless columns
    is positive.
    """
    if columns < 1:
        raise ConfigError(f"columns {columns}: expected a number >= 1")
    n, channels, h, w = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows, columns, h + gap, w + gap, channels), 255, np.uint8)
    places = sheet.reshape(rows * columns, h + gap, w + gap, channels)
    places[:n, gap:, gap:] = images.transpose(0, 2, 3, 1)
    picture = sheet.transpose(0, 2, 1, 3, 4).reshape(rows * (h + gap), columns * (w + gap), channels)
    return np.pad(picture, ((0, gap), (0, gap), (0, 0)), constant_values=255)


def write_png(path: str | os.PathLike[str], picture: NDArray[np.uint8]) -> None:
    """Write `picture` (H, W, 3), RGB, as a PNG file. Raises DataError where it cannot be written."""
    try:
        Path(path).write_bytes(png(picture))
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: cannot be written ({error.strerror})") from None


def png(picture: NDArray[np.uint8]) -> bytes:
    """`picture` (H, W, 3), RGB, as the bytes of a PNG file.

    Source: PNG specification, https://www.w3.org/TR/png-3/: a header, the rows (each after a 0: "no filter")
    compressed, and an end.
    """
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + width * 3), np.uint8)
    rows[:, 1:] = picture.reshape(height, width * 3)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, colour type 2: RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
