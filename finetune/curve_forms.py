"""Two forms of a learning curve's error, fitted exactly on a grid and evaluated ahead; pure numpy.

`sigmoid`: c + (e0 - c) / (1 + (n/k)^b), which starts at guessing (error e0 with no rows), falls like a power
law and levels off at c. `plain`: a*n^-b on the last four sizes. Both weight the sizes by their rows. The
power law with an asymptote, a*n^-b + c, was tried in the place of `sigmoid` and is worse from early points
(docs/decisions). Shapes: `sizes` (s,), `errors` (draws, s), `rows` (r,); results (draws, r).
"""

from __future__ import annotations

import numpy as np

EXPONENTS = np.linspace(0.2, 2.0, 19)
TURNS = 36
LEAST_ERROR = 1e-4


def sigmoid(sizes: np.ndarray, errors: np.ndarray, rows: np.ndarray, at_zero: float) -> np.ndarray:
    """The chance-anchored form; for each (b, k) of a grid the floor c is solved exactly, c in [0, 1]."""
    weight = sizes / sizes.sum()
    best = np.full(len(errors), np.inf)
    result = np.zeros((len(errors), len(rows)))
    turns = np.geomspace(sizes[0] / 64, sizes[-1] * 2, TURNS)
    for exponent in EXPONENTS:
        for turn in turns:
            fall = 1 / (1 + (sizes / turn) ** exponent)
            ahead = 1 / (1 + (rows / turn) ** exponent)
            rise, target = 1 - fall, errors - at_zero * fall
            floor = np.clip((target * rise) @ weight / float((rise * rise) @ weight), 0.0, 1.0)
            loss = ((target - floor[:, None] * rise) ** 2) @ weight
            better = loss < best
            best = np.where(better, loss, best)
            made = floor[:, None] * (1 - ahead) + at_zero * ahead
            result = np.where(better[:, None], made, result)
    return result


def plain(sizes: np.ndarray, errors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A straight line between the logarithms of the last four sizes and their errors; never rising."""
    x = np.log(sizes[-4:] / sizes[-1])
    y = np.log(np.maximum(errors[:, -4:], LEAST_ERROR))
    weight = sizes[-4:] / sizes[-4:].sum()
    middle = float(x @ weight)
    height = y @ weight
    slope = ((y - height[:, None]) * (x - middle)) @ weight / float(((x - middle) ** 2) @ weight)
    slope = np.minimum(slope, 0.0)
    made: np.ndarray = np.exp(height[:, None] + slope[:, None] * (np.log(rows / sizes[-1]) - middle))
    return made
