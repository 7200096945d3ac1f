"""Makes vectors-scipy.json: scipy's results for samples that bench-suite/tests/statistics.rs passes to this project.

    pip install scipy
    python vectors.py > vectors-scipy.json

Two one-sided tests (TOST) at a margin, by scipy's exact tests; Kendall's rank correlation; and the interval of the
signed-rank test by brute force over the 2^n ways to flip the signs, without any of the formulas used in the project.
"""

import itertools
import json

import numpy as np
from scipy import stats

random = np.random.default_rng(20260101)


def tost_paired(values, margin):
    below = stats.wilcoxon(values - margin, alternative="less", method="exact").pvalue
    above = stats.wilcoxon(values + margin, alternative="greater", method="exact").pvalue
    return {"values": values.tolist(), "margin": margin, "p_above": below, "p_below": above}


def tost_unpaired(values, others, margin):
    below = stats.mannwhitneyu(values - margin, others, alternative="less", method="exact").pvalue
    above = stats.mannwhitneyu(values + margin, others, alternative="greater", method="exact").pvalue
    return {"values": values.tolist(), "others": others.tolist(), "margin": margin, "p_above": below, "p_below": above}


def rejected(values, centre, level):
    """Whether the sign-flip test on ranks rejects `centre`, by trying every flip."""
    shifted = values - centre
    ranks = stats.rankdata(np.abs(shifted))
    seen = ranks[shifted > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(values))])
    return 2 * min(np.mean(sums <= seen), np.mean(sums >= seen)) <= level


def brute_force(values, level):
    """The two values next to each end of the set that is not rejected: one inside and one outside."""
    ends = []
    averages = np.sort([(a + b) / 2 for i, a in enumerate(values) for b in values[i:]])
    for order in (averages, averages[::-1]):
        step = 1e-7 if order[0] < order[-1] else -1e-7
        end = next(edge for edge in order if not rejected(values, edge + step, level))
        assert rejected(values, end - step, level)
        ends.append(float(end))
    return {"values": values.tolist(), "level": level, "interval": ends}


def sample(count, centre, spread):
    return np.round(random.normal(centre, spread, count), 6)


print(
    json.dumps(
        {
            "tost_paired": [tost_paired(sample(n, 0.002, s), 0.0198) for n in (7, 12, 20, 40) for s in (0.005, 0.02, 0.06)],
            "tost_unpaired": [
                tost_unpaired(sample(n, 0.002, s), sample(n + 2, 0.0, s), 0.0198) for n in (7, 12) for s in (0.005, 0.02, 0.06)
            ],
            "brute_force": [brute_force(sample(n, 0.01, 0.03), 0.05) for n in (6, 8, 10, 11)],
        },
        indent=1,
    )
)
