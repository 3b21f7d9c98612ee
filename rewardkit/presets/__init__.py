r"""Well-known reward stacks, ready to train on; the others' value for value as their originals, quirks included.

`gsm8k_r1` and `sudoku_choice` are this project's. `open_r1`, `trl`, `dapo` and `willccb_gsm8k` give the numbers of
the stacks they are named after, so that a run can be compared or carried on; their members stand here too, under the
name of the original. What differs from the plain rewards is told, with examples, in docs/presets.md.

    >>> from rewardkit import presets
    >>> [member.__name__ for member in presets.open_r1.members]
    ['accuracy_reward', 'format_reward', 'tag_count_reward']
    >>> line = "<reasoning>\n6 * 3\n</reasoning>\n<answer>\n18\n</answer>\n"
    >>> presets.willccb_gsm8k([line, line.replace(" * ", "\n* ")], answer="18")  # its dot matches no line break
    [3.5, 3.0]
"""

from rewardkit.presets.dapo import DapoAccuracy, DapoOverlong, dapo, dapo_accuracy, dapo_overlong
from rewardkit.presets.open_r1 import (
    OpenR1Accuracy,
    OpenR1CodeFormat,
    OpenR1Format,
    OpenR1ReasoningSteps,
    OpenR1TagCount,
    open_r1,
    open_r1_accuracy,
    open_r1_code_format,
    open_r1_format,
    open_r1_reasoning_steps,
    open_r1_tag_count,
)
from rewardkit.presets.open_r1_lengths import (
    OpenR1Cosine,
    OpenR1Length,
    OpenR1RepetitionPenalty,
    open_r1_cosine,
    open_r1_length,
    open_r1_repetition_penalty,
    open_r1_soft_overlong,
)
from rewardkit.presets.own import gsm8k_r1, sudoku_choice
from rewardkit.presets.trl_rewards import (
    TrlAccuracy,
    TrlReasoningAccuracy,
    TrlThinkFormat,
    trl,
    trl_accuracy,
    trl_cosine_scaled,
    trl_reasoning_accuracy,
    trl_repetition_penalty,
    trl_soft_overlong,
    trl_think_format,
)
from rewardkit.presets.willccb import (
    WillccbCorrectness,
    WillccbInt,
    WillccbSoftFormat,
    WillccbStrictFormat,
    WillccbXmlCount,
    willccb_correctness,
    willccb_gsm8k,
    willccb_int,
    willccb_soft_format,
    willccb_strict_format,
    willccb_xml_count,
)

__all__ = [
    "DapoAccuracy",
    "DapoOverlong",
    "OpenR1Accuracy",
    "OpenR1CodeFormat",
    "OpenR1Cosine",
    "OpenR1Format",
    "OpenR1Length",
    "OpenR1ReasoningSteps",
    "OpenR1RepetitionPenalty",
    "OpenR1TagCount",
    "TrlAccuracy",
    "TrlReasoningAccuracy",
    "TrlThinkFormat",
    "WillccbCorrectness",
    "WillccbInt",
    "WillccbSoftFormat",
    "WillccbStrictFormat",
    "WillccbXmlCount",
    "dapo",
    "dapo_accuracy",
    "dapo_overlong",
    "gsm8k_r1",
    "open_r1",
    "open_r1_accuracy",
    "open_r1_code_format",
    "open_r1_cosine",
    "open_r1_format",
    "open_r1_length",
    "open_r1_reasoning_steps",
    "open_r1_repetition_penalty",
    "open_r1_soft_overlong",
    "open_r1_tag_count",
    "sudoku_choice",
    "trl",
    "trl_accuracy",
    "trl_cosine_scaled",
    "trl_reasoning_accuracy",
    "trl_repetition_penalty",
    "trl_soft_overlong",
    "trl_think_format",
    "willccb_correctness",
    "willccb_gsm8k",
    "willccb_int",
    "willccb_soft_format",
    "willccb_strict_format",
    "willccb_xml_count",
]
