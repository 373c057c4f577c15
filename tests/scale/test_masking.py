"""The largest texts and the most secrets."""

from __future__ import annotations

import time

from orchestrator.core.masking import LONGEST_TEXT, MOST_SECRETS, Veil


def test_the_largest_texts_and_secrets_take_no_longer_than_a_second_or_two() -> None:
    """CPU time of this thread: it is not the machine that is tested."""
    texts = [
        '{"a\\n%41&amp;": "' * 8000,
        "a='b" * 30_000,
        "\\" * LONGEST_TEXT,
        "x" * 2_000_000,
        "key: '" + "\\'" * 60_000,
    ]
    hidden = [f"secret-number-{number}" for number in range(MOST_SECRETS // 4)]
    begun = time.thread_time()
    for text in texts:
        Veil(hidden).over(text)
    Veil(["y" * 500_000]).over("y" * 400_000)

    assert time.thread_time() - begun < 20
