"""Chance that is the same for the same words, in whatever order things are asked for."""

import random
from math import exp, log

SLOWER_MEDIAN = 1.77
SLOWER_P10, SLOWER_P90 = 0.94, 3.07
"""Of real time over the router's, measured on taxi trips: real riders stop, wait and search."""

P90_SIGMAS, P99_SIGMAS = 1.2816, 2.3263


def chance(*words: object) -> random.Random:
    return random.Random("|".join(map(str, words)))


def slower(of: random.Random) -> float:
    """By what a drive is slower than the router thinks: lognormal about its median, its outermost hundredths cut."""
    sigma = log(SLOWER_P90 / SLOWER_P10) / (2 * P90_SIGMAS)
    return SLOWER_MEDIAN * exp(sigma * min(P99_SIGMAS, max(-P99_SIGMAS, of.gauss(0, 1))))
