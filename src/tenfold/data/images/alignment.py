"""Whether two small pictures show the same shot: lay one over the other, then look at what remains.

The moving picture is laid over the still one by Gauss-Newton steps on an affine map with a gain and an offset
(Lucas and Kanade 1981; Baker and Matthews 2004, section 2), coarse then fine, each pixel's pull bounded
(Huber 1964). A cubic curve then takes out gamma and clipping, and what remains is told in three figures.
Photos that only look alike differ at edges, which a hash of low frequencies cannot see. Knows arrays only.
"""

from __future__ import annotations

import math

import numba
import numpy as np

SIDE = 48
"""Pixels a side of the pictures; divisible by 2 and by `_BLOCK`."""
COLOUR_SIDE = 12
MEASURES = ("rest", "block", "detail", "colour", "shared")
"""`rest`: root mean square of what remains over the contrast (standard deviation) of the still picture.
`block`: the same in the worst block of 8 x 8 pixels. `detail`: one minus the correlation of what stands out from
its surroundings of 5 x 5 pixels. `colour`: root mean square difference of the two colour channels, 0 to 255.
`shared`: share of the still picture that the moving one covers."""

_BLOCK = 8
_PULL = 12.0
"""Grey levels from which a pixel's pull grows no more."""
_DARK, _BRIGHT = 4.0, 248.0
"""Beyond these a pixel may have been clipped: it only counts where clipping cannot explain the difference."""
_LARGEST_STRETCH = 0.16
_LARGEST_TURN = 0.12
_LARGEST_SHIFT = 0.16
"""Of half a side. Further away it is not a copy that was cropped or turned a little."""
_LARGEST_SKEW = 0.08
"""How far turn and stretch may differ between the axes: a free affine map lays any slope over any other."""
_PLAIN = 1.0
"""Grey levels of fine structure without which two smooth slopes would be one picture."""
_PARAMETERS = 8


@numba.njit(cache=True)
def _solve(h, g, size):  # type: ignore[no-untyped-def]
    """Solve h x = g in place into g, by Cholesky; False where h is not positive definite."""
    for i in range(size):
        for j in range(i + 1):
            total = h[i, j]
            for k in range(j):
                total -= h[i, k] * h[j, k]
            if i == j:
                if total <= 1e-12:
                    return False
                h[i, i] = math.sqrt(total)
            else:
                h[i, j] = total / h[j, j]
    for i in range(size):
        for k in range(i):
            g[i] -= h[i, k] * g[k]
        g[i] /= h[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            g[i] -= h[k, i] * g[k]
        g[i] /= h[i, i]
    return True


@numba.njit(cache=True)
def _clipped(still, moving, difference):  # type: ignore[no-untyped-def]
    """`difference`: the still pixel less the moving one's prediction."""
    if difference > 0:
        return moving > _BRIGHT or still < _DARK
    return still > _BRIGHT or moving < _DARK


@numba.njit(cache=True)
def _align(still, moving, p, steps):  # type: ignore[no-untyped-def]
    """Improve p: (a, b, x, c, d, y, gain, offset), the map's difference from identity, sides from -1 to 1."""
    size = still.shape[0]
    centre = (size - 1) / 2
    h = np.empty((_PARAMETERS, _PARAMETERS))
    g = np.empty(_PARAMETERS)
    slope = np.empty(_PARAMETERS)
    for _ in range(steps):
        h[:] = 0
        g[:] = 0
        count = 0
        for i in range(1, size - 1):
            v = (i - centre) / centre
            for j in range(1, size - 1):
                u = (j - centre) / centre
                x = centre + centre * (u + p[0] * u + p[1] * v + p[2])
                y = centre + centre * (v + p[3] * u + p[4] * v + p[5])
                left, top = math.floor(x), math.floor(y)
                if left < 0 or top < 0 or left >= size - 1 or top >= size - 1:
                    continue
                fx, fy = x - left, y - top
                nw, ne = moving[top, left], moving[top, left + 1]
                sw, se = moving[top + 1, left], moving[top + 1, left + 1]
                value = (nw * (1 - fx) + ne * fx) * (1 - fy) + (sw * (1 - fx) + se * fx) * fy
                difference = still[i, j] - (p[6] * value + p[7])
                count += 1
                if _clipped(still[i, j], value, difference):
                    continue
                across = p[6] * centre * ((ne - nw) * (1 - fy) + (se - sw) * fy)
                along = p[6] * centre * ((sw - nw) * (1 - fx) + (se - ne) * fx)
                slope[0], slope[1], slope[2] = across * u, across * v, across
                slope[3], slope[4], slope[5] = along * u, along * v, along
                slope[6], slope[7] = value, 1.0
                weight = min(1.0, _PULL / max(abs(difference), 1e-9))
                for k in range(_PARAMETERS):
                    g[k] += weight * slope[k] * difference
                    for m in range(k + 1):
                        h[k, m] += weight * slope[k] * slope[m]
        if count < 0.5 * size * size:
            return False
        for k in range(_PARAMETERS):
            h[k, k] = h[k, k] * 1.001 + 1e-6
        if not _solve(h, g, _PARAMETERS):
            return False
        step = 0.0
        for k in range(_PARAMETERS):
            p[k] += g[k]
            if k < 6:
                step = max(step, abs(g[k]))
        if not (
            max(abs(p[0]), abs(p[4])) <= _LARGEST_STRETCH
            and max(abs(p[1]), abs(p[3])) <= _LARGEST_TURN
            and max(abs(p[2]), abs(p[5])) <= _LARGEST_SHIFT
            and max(abs(p[0] - p[4]), abs(p[1] + p[3])) <= _LARGEST_SKEW
        ):
            return False
        if step < 1e-3:
            break
    return True


@numba.njit(cache=True)
def _smooth(image, out):  # type: ignore[no-untyped-def]
    """A 3 x 3 binomial mean: what JPEG and resizing did to single pixels should not matter."""
    size = image.shape[0]
    for i in range(size):
        up, down = max(i - 1, 0), min(i + 1, size - 1)
        for j in range(size):
            left, right = max(j - 1, 0), min(j + 1, size - 1)
            out[i, j] = (
                4 * image[i, j]
                + 2 * (image[up, j] + image[down, j] + image[i, left] + image[i, right])
                + image[up, left] + image[up, right] + image[down, left] + image[down, right]
            ) / 16  # fmt: skip


@numba.njit(cache=True)
def _halved(image):  # type: ignore[no-untyped-def]
    size = image.shape[0] // 2
    out = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            out[i, j] = (
                image[2 * i, 2 * j] + image[2 * i, 2 * j + 1]
                + image[2 * i + 1, 2 * j] + image[2 * i + 1, 2 * j + 1]
            ) / 4  # fmt: skip
    return out


@numba.njit(cache=True)
def _fetched(moving, p, size, out, seen):  # type: ignore[no-untyped-def]
    """The moving picture on the still one's grid of `size`; `seen` is 1 where it has a pixel there."""
    centre = (size - 1) / 2
    for i in range(size):
        v = (i - centre) / centre
        for j in range(size):
            u = (j - centre) / centre
            x = centre + centre * (u + p[0] * u + p[1] * v + p[2])
            y = centre + centre * (v + p[3] * u + p[4] * v + p[5])
            inside = x >= -0.5 and y >= -0.5 and x <= size - 0.5 and y <= size - 0.5
            seen[i, j] = 1.0 if inside else 0.0
            x, y = min(max(x, 0.0), size - 1.0), min(max(y, 0.0), size - 1.0)
            left, top = min(int(x), size - 2), min(int(y), size - 2)
            fx, fy = x - left, y - top
            out[i, j] = (
                moving[top, left] * (1 - fx) + moving[top, left + 1] * fx
            ) * (1 - fy) + (
                moving[top + 1, left] * (1 - fx) + moving[top + 1, left + 1] * fx
            ) * fy  # fmt: skip


@numba.njit(cache=True)
def _toned(still, fetched, seen):  # type: ignore[no-untyped-def]
    """Put `fetched` through the cubic curve that brings it nearest to `still`, outliers bounded."""
    size = still.shape[0]
    curve = np.zeros(4)
    h = np.empty((4, 4))
    powers = np.empty(4)
    for turn in range(3):
        h[:] = 0
        g = np.zeros(4)
        for i in range(size):
            for j in range(size):
                if seen[i, j] == 0:
                    continue
                t = fetched[i, j] / 128 - 1
                powers[0], powers[1], powers[2], powers[3] = 1.0, t, t * t, t * t * t
                weight = 1.0
                if turn:
                    value = curve[0] + t * (curve[1] + t * (curve[2] + t * curve[3]))
                    weight = min(1.0, _PULL / max(abs(still[i, j] - value), 1e-9))
                for k in range(4):
                    g[k] += weight * powers[k] * still[i, j]
                    for m in range(k + 1):
                        h[k, m] += weight * powers[k] * powers[m]
        for k in range(4):
            h[k, k] += 1e-3
        if not _solve(h, g, 4):
            return False
        curve[:] = g
    for i in range(size):
        for j in range(size):
            t = fetched[i, j] / 128 - 1
            fetched[i, j] = curve[0] + t * (curve[1] + t * (curve[2] + t * curve[3]))
    return True


@numba.njit(cache=True)
def _judged(still, fetched, seen, out):  # type: ignore[no-untyped-def]
    """Fill rest, block, detail and shared (see MEASURES). The outermost two rows belong to the frame."""
    size = still.shape[0]
    blocks = size // _BLOCK
    squares = np.zeros((blocks, blocks))
    counts = np.zeros((blocks, blocks))
    n = total = total2 = rest = 0.0
    dn = da = db = daa = dbb = dab = 0.0
    for i in range(2, size - 2):
        for j in range(2, size - 2):
            if seen[i, j] == 0:
                continue
            value = still[i, j]
            n += 1
            total += value
            total2 += value * value
            r = value - fetched[i, j]
            rest += r * r
            squares[i // _BLOCK, j // _BLOCK] += r * r
            counts[i // _BLOCK, j // _BLOCK] += 1
            near_still = near_fetched = near_seen = 0.0
            for k in range(i - 2, i + 3):
                for m in range(j - 2, j + 3):
                    near_still += still[k, m]
                    near_fetched += fetched[k, m]
                    near_seen += seen[k, m]
            if near_seen == 25:
                a, b = value - near_still / 25, fetched[i, j] - near_fetched / 25
                dn += 1
                da += a
                db += b
                daa += a * a
                dbb += b * b
                dab += a * b
    if n < 0.4 * size * size or dn < 0.3 * size * size:
        return False
    variance = total2 / n - (total / n) ** 2
    if variance < 1.0 or min(daa, dbb) / dn < _PLAIN**2:
        return False
    worst = 0.0
    for i in range(blocks):
        for j in range(blocks):
            if counts[i, j] >= _BLOCK:
                worst = max(worst, squares[i, j] / max(counts[i, j], _BLOCK * _BLOCK / 4))
    spread = (daa / dn - (da / dn) ** 2) * (dbb / dn - (db / dn) ** 2)
    out[0] = math.sqrt(rest / n / variance)
    out[1] = math.sqrt(worst / variance)
    out[2] = 1 - (dab / dn - da * db / dn / dn) / math.sqrt(max(spread, 1e-9))
    out[4] = n / ((size - 4) * (size - 4))
    return True


@numba.njit(cache=True)
def compare(still, moving, still_colour, moving_colour, start, out):  # type: ignore[no-untyped-def]
    """Fill `out` with MEASURES; False where no small affine map lays one over the other.

    `still`, `moving`: SIDE x SIDE luma as float64; colours: COLOUR_SIDE x COLOUR_SIDE x 2 as float64;
    `start`: where to begin, the six numbers of the affine map less identity.
    """
    a, b = np.empty((SIDE, SIDE)), np.empty((SIDE, SIDE))
    _smooth(still, a)
    _smooth(moving, b)
    p = np.empty(_PARAMETERS)
    p[:6] = start
    p[6] = min(max(np.std(a) / max(np.std(b), 1e-6), 0.2), 5.0)
    p[7] = np.mean(a) - p[6] * np.mean(b)
    if not _align(_halved(a), _halved(b), p, 12) or not _align(a, b, p, 8):
        return False
    fetched, seen = np.empty((SIDE, SIDE)), np.empty((SIDE, SIDE))
    _fetched(b, p, SIDE, fetched, seen)
    # What was clipped in one of them cannot be got back: the clipped one is told from the other, not the
    # other from it. Which one that is shows in the rest.
    other = fetched.copy()
    if not _toned(a, fetched, seen) or not _judged(a, fetched, seen, out):
        return False
    turned = np.empty(len(out))
    if _toned(other, a, seen) and _judged(other, a, seen, turned) and turned[0] < out[0]:
        out[:] = turned
    squares = count = 0.0
    layer, here = np.empty((COLOUR_SIDE, COLOUR_SIDE)), np.empty((COLOUR_SIDE, COLOUR_SIDE))
    for channel in range(2):
        _fetched(np.ascontiguousarray(moving_colour[:, :, channel]), p, COLOUR_SIDE, layer, here)
        for i in range(COLOUR_SIDE):
            for j in range(COLOUR_SIDE):
                if here[i, j]:
                    squares += (layer[i, j] - still_colour[i, j, channel]) ** 2
                    count += 1
    out[3] = math.sqrt(squares / max(count, 1.0))
    return True
