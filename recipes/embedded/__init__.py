"""What the recipes run on when there is no GPU and no network: generated problems and a small policy.

``problems(count, seed=…, split=…)`` draws arithmetic word problems with worked answers, in the columns of GSM8K.
``POLICY_PATH`` is the folder of a one-million-parameter model that can solve them and does so too seldom: load it
with ``AutoModelForCausalLM.from_pretrained``.  ``python -m recipes.embedded.make_policy`` makes it anew.
"""

from pathlib import Path

from recipes.embedded.problems import problems

POLICY_PATH = Path(__file__).parent / "policy"

__all__ = ["POLICY_PATH", "problems"]
