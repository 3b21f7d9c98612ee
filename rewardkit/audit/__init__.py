r"""What does a stack really pay for? Audits of references and attacks on rewards, before any training.

>>> from rewardkit import boxed_accuracy, presets
>>> from rewardkit.audit import attack, audit
>>> rows = [{"prompt": f"{n} + 5 = ?", "answer": str(n + 5)} for n in range(10, 20)]
>>> audit(boxed_accuracy, rows)
boxed_accuracy: 10 of 10 references earn their own reward; nothing found
>>> attack(presets.gsm8k_r1, rows).ok
True
"""

from rewardkit.audit.attack_report import AttackReport, Example, ExploitResult
from rewardkit.audit.attacker import attack
from rewardkit.audit.exploits import CATALOGUE, Exploit, FixedTexts, Seen
from rewardkit.audit.gold_report import GoldAudit, GoldFinding
from rewardkit.audit.golds import audit
from rewardkit.audit.layout import Layout
from rewardkit.audit.structure import Structure

__all__ = [
    "CATALOGUE",
    "AttackReport",
    "Example",
    "Exploit",
    "ExploitResult",
    "FixedTexts",
    "GoldAudit",
    "GoldFinding",
    "Layout",
    "Seen",
    "Structure",
    "attack",
    "audit",
]
