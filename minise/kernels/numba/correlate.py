"""The loops under convolution's numba kernels: image columns that are offsets, never copies.

A *plane image* is a channel of an image in scratch memory, with its zero border and rows of `pitch` numbers. In it
the pixel under a tap lies at a constant distance from the pixel under another: so a row of im2col's columns
is nothing but an offset, and a product with the columns needs no columns:

    correlate    y[k, i] = Σ_m w[k, m] x[offset[m] + i]          forward, and the gradient of x
    reduce       gw[k, m] = Σ_i gy[k, i] x[offset[m] + i]        the gradient of w

Both are products of matrices, so both keep a tile of results in registers while they run over the sum:
4 rows by 3 vectors of 8 pixels, and 4 rows by 3 columns. The tiles are in `tiles`; around them is plain numba.
Where a tile hangs over the last row or column, that one is computed more than once.
"""

from __future__ import annotations

from numba import njit

from minise.kernels.numba.parallel import inner, loop, turns
from minise.kernels.numba.tiles import LANES, ROWS, WIDE, correlate_tile, next_width, reduce_tile


@njit(inline="always")
def copy(target, t, source, s, count):
    """target[::t] = source[::s], `count` numbers; the two common cases are loops of their own, which is faster."""
    if t == 1 and s == 1:
        for j in range(count):
            target[j] = source[j]
    else:
        for j in range(count):
            target[j * t] = source[j * s]


@inner
def fill(planes, image, stride, border, rows, pitch):
    """Lay an image (c, h, w) out as plane images, one for each phase of the stride.

    Pixel (i, j) of the bordered image goes to plane (i mod stride, j mod stride) at (i // stride, j // stride).
    The border is not written.
    """
    c, h, w = image.shape
    for a in range(stride):
        top = -(-(border - a) // stride)  # the first row that is not border; the pixel there is i0
        i0 = top * stride + a - border
        count = min(-(-(h - i0) // stride), rows - top)
        for b in range(stride):
            left = -(-(border - b) // stride)
            j0 = left * stride + b - border
            width = min(-(-(w - j0) // stride), pitch - left)
            for channel in range(c):
                start = (((channel * stride + a) * stride + b) * rows + top) * pitch + left
                for i in range(count):
                    source = image[channel, i0 + i * stride, j0:]
                    copy(planes[start + i * pitch :], 1, source, stride, width)


@inner
def correlate(planes, y, parts, offsets, weights, x_at, scratch):
    """One image's y (k, h, w) from its plane images: a correlation for every part of y.

    parts: for each, what `minise.kernels.numba.conv2d.Correlation` lists.
    """
    k, h, w = y.shape
    flat = y.reshape(-1)
    for part in range(len(parts)):
        first, count, at, vectors, rows, columns, step, top, left = parts[part]
        pitch = -(-columns // LANES) * LANES
        direct = step == 1 and pitch == w
        out, plane = (flat, h * w) if direct else (scratch, rows * pitch)
        x, starts, target = planes.ctypes.data, offsets[first:].ctypes.data, out.ctypes.data
        for row in range(0, k, ROWS):
            tile = weights[first * -(-k // ROWS) * ROWS + row * count :].ctypes.data
            v = 0
            while v < vectors:
                wide = next_width(vectors - v)
                places = x_at[at + v :].ctypes.data
                correlate_tile(x, places, wide, starts, count, tile, target, v * LANES, row, k, plane)
                v += wide
        if not direct:
            for channel in range(k):
                for i in range(rows):
                    source = scratch[(channel * rows + i) * pitch :]
                    copy(y[channel, top + step * i, left:], step, source, 1, columns)


@loop
def forward(work, x, y, parts, offsets, weights, x_at, layout, scratch):
    """y (n, k, ho, wo) from x (n, c, h, w). layout: stride, border, rows and pitch of x's plane images."""
    stride, border, rows, pitch = layout
    size = x.shape[1] * stride * stride * rows * pitch
    planes, out = scratch[:size], scratch[size:]
    fresh = True
    for start, stop in turns(work):
        for i in range(start, stop):
            if fresh:  # not ahead of the loop, which a late thread finds at its end
                planes[:] = 0
                fresh = False
            fill(planes, x[i], stride, border, rows, pitch)
            correlate(planes, y[i], parts, offsets, weights, x_at, out)


@inner
def reduce(planes, gradients, gw, offsets, g_plane, pixels, sums):
    """gw (k, m) += Σ over a block's pixels of gradients times what lies at the offsets from them."""
    k, m = gw.shape
    x, g, out = planes.ctypes.data, gradients.ctypes.data, sums.ctypes.data
    at, columns = pixels.ctypes.data, offsets.ctypes.data
    for r in range(0, k, ROWS):
        for v in range(0, m, WIDE):
            reduce_tile(x, columns, v, m, g, r, k, g_plane, at, len(pixels), out)
            for i in range(min(ROWS, k - r)):
                for j in range(min(WIDE, m - v)):
                    gw[r + i, v + j] += sums[i * WIDE + j]


@loop
def backward(work, x, gy, gx, gw, parts, offsets, weights, g_at, columns, pixels, layout, g_layout, scratch):
    """gx (n, c, h, w), and gw (chunks, k, m) of one chunk of the images after the other; either may be empty.

    layout, g_layout: stride, border, rows and pitch of the plane images of x and of gy; pixels (images, vectors, 2):
    where a block's vectors lie in both.
    """
    chunks, _, m = gw.shape
    stride, border, rows, pitch = layout
    _, g_border, g_rows, g_pitch = g_layout
    size, g_size = x.shape[1] * stride * stride * rows * pitch, gy.shape[1] * g_rows * g_pitch
    block = len(pixels)
    planes, rest = scratch[: block * size], scratch[block * size :]
    gradients, rest = rest[: block * g_size], rest[block * g_size :]
    sums, out = rest[: ROWS * WIDE], rest[ROWS * WIDE :]
    fresh = True
    for begin, end in turns(work):
        if fresh:
            planes[:] = 0
            gradients[:] = 0
            fresh = False
        for chunk in range(begin, end):
            last = (chunk + 1) * len(x) // chunks
            for start in range(chunk * len(x) // chunks, last, block):
                images = min(block, last - start)
                for i in range(images):
                    own = gradients[i * g_size : (i + 1) * g_size]
                    fill(own, gy[start + i], 1, g_border, g_rows, g_pitch)
                    if len(gx):
                        correlate(own, gx[start + i], parts, offsets, weights, g_at, out)
                    if m:
                        fill(planes[i * size : (i + 1) * size], x[start + i], stride, border, rows, pitch)
                if m:
                    seen = pixels[:images].reshape(-1, 2)
                    reduce(planes, gradients, gw[chunk], columns, g_rows * g_pitch, seen, sums)
