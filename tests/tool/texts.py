# SPDX-License-Identifier: BSD-3-Clause
"""What images of tests are made of, where it has to compress."""


def text(rng, length):
    """About a fifth of it is left by each encoder, a little less by a better one, and that takes less time than words of letters."""
    words = [rng.randbytes(20) for _ in range(100)]
    rows = (rng.randbytes(32) + rng.choice(words) + rng.choice(words) + b"blockz " * 19 for _ in range(length // 205 + 1))
    return b"".join(rows)[:length]
