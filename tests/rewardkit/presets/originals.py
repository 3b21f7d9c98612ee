"""Runs TRL's own rewards, and math-verify as open-r1 calls it, in a process of their own.

In a process, because TRL changes the warning filters and math-verify's time-outs are signals; and it is the
original that is run, so nothing of the package under test is imported there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

TRL = r"""
import json, sys, warnings
warnings.simplefilter("ignore")
asked = json.load(sys.stdin)
try:
    import math_verify
    from trl import rewards
except ImportError as error:
    print(json.dumps(f"cannot import TRL's rewards: {error}")); sys.exit()
chat = lambda texts: [[{"role": "assistant", "content": text}] for text in texts]
texts, truths = map(list, zip(*asked["pairs"]))
ids, cosine, ngrams, overlong = (asked[name] for name in ("ids", "cosine", "ngrams", "overlong"))
print(json.dumps({
    "accuracy": rewards.accuracy_reward(chat(texts), truths),
    "reasoning": rewards.reasoning_accuracy_reward(chat(asked["reasoning"]), ["$18$"] * len(asked["reasoning"])),
    "delimiters": rewards.reasoning_accuracy_reward(chat(asked["reasoning"]), ["$18$"] * len(asked["reasoning"]),
                                                    reasoning_delimiters=["</reasoning>", "</think>"]),
    "think_format": rewards.think_format_reward(chat(asked["documents"])),
    "cosine": [rewards.get_cosine_scaled_reward(*bounds)(chat([r"\boxed{18}", r"\boxed{7}", ""] * len(ids)),
               ["18", "$18$", "eighteen"] * len(ids), [row for row in ids for _ in range(3)]) for bounds in cosine],
    "repetition": [rewards.get_repetition_penalty_reward(*arguments)(ids) for arguments in ngrams],
    "overlong": [rewards.get_soft_overlong_punishment(*arguments)(ids) for arguments in overlong],
}))
"""

OPEN_R1 = r"""
import json, sys, warnings
warnings.simplefilter("ignore")
asked = json.load(sys.stdin)
try:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify
except ImportError as error:
    print(json.dumps(f"cannot import math-verify: {error}")); sys.exit()

def answer(text, boxed):
    config = NormalizationConfig(nits=False, malformed_operators=False, basic_latex=True, equations=True,
                                 boxed=boxed, units=True)
    return parse(text, extraction_mode="first_match", extraction_config=[
        LatexExtractionConfig(normalization_config=config, boxed_match_priority=0, try_extract_without_anchor=False)])

def accuracy(text, truth):
    gold = parse(truth, extraction_mode="first_match")
    return float(verify(gold, answer(text, "all"))) if gold else None

def right(text, truth):
    gold = parse(truth, extraction_mode="first_match", extraction_config=[LatexExtractionConfig()])
    return bool(verify(answer(text, True), gold)) if gold else None

print(json.dumps({"accuracy": [accuracy(*pair) for pair in asked], "right": [right(*pair) for pair in asked]}))
"""


def run(script: str, asked: Any) -> Any:
    """What the script prints; the test is skipped where the original is not installed."""
    ran = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(asked), check=True, capture_output=True, text=True, timeout=280
    )
    answer = json.loads(ran.stdout.splitlines()[-1])
    if isinstance(answer, str):
        pytest.skip(answer)
    return answer
