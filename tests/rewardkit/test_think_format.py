"""Specification of rewardkit.think_format: one think section, then an answer."""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.think_format import ThinkFormat, think_format

RIGHT = "<think>1+1\nis 2</think>It is 2."
PREFILLED = ThinkFormat(prefilled=True)

FRAGMENTS = ["<think>", "</think>", "\n", " ", "2", "​", "<", RIGHT]
near = st.lists(st.sampled_from(FRAGMENTS), max_size=10).map("".join)


def detail(reward: ThinkFormat, text: str) -> str:
    return str(reward.explain([text])[0].detail)


class TestThinkFormat:
    @pytest.mark.parametrize(
        "text",
        [
            RIGHT,
            f" \n{RIGHT}\n\n",
            f"\ufeff{RIGHT}",
            f" \ufeff\n{RIGHT}",
            "<think>1</think>2",
            "<think>\n\nline\n\nline\n</think>\n\nline\nline",
            "<think>if x < 3 and <b>so</b></think><answer>2</answer>",
            "<think>I think <Think> is no tag</think>2",
        ],
    )
    def test_pays_for_one_reasoning_at_the_start_and_an_answer_after_it(self, text: str) -> None:
        assert think_format([text]) == [1.0]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "no <think>"),
            (" \n", "no <think>"),
            ("It is 2.", "no <think>"),
            ("1+1</think>2", "no <think>"),
            ("<Think>1+1</Think>2", "no <think>"),
            ("<think>1+1", "no </think>"),  # cut off by the length limit
            ("<think>1+1</thi", "no </think>"),
            ("<think><think>1+1</think>2", "<think> occurs 2 times"),
            (RIGHT + RIGHT, "<think> occurs 2 times"),
            (RIGHT + "<think>", "<think> occurs 2 times"),
            (RIGHT + "</think>3", "</think> occurs 2 times"),
            ("<think>1</think></think></think>2", "</think> occurs 3 times"),
            ("</think>1<think>2", "</think> stands before <think>"),
            ("Sure! " + RIGHT, "text before <think>"),
            ("\ufeff\ufeff" + RIGHT, "text before <think>"),
            ("<think></think>2", "empty <think>"),
            ("<think> \n\t </think>2", "empty <think>"),
            ("<think>1+1</think>", "nothing after </think>"),
            ("<think>1+1</think> \n", "nothing after </think>"),
        ],
    )
    def test_pays_nothing_else_and_says_the_first_fault(self, text: str, fault: str) -> None:
        (outcome,) = think_format.explain([text])
        assert (outcome.value, outcome.status, outcome.detail) == (0.0, "wrong", fault)

    def test_a_message_list_is_judged_by_the_text_of_the_assistant(self) -> None:
        assert think_format([[{"role": "assistant", "content": RIGHT}], [{"role": "assistant", "content": None}]]) == [
            1.0,
            0.0,
        ]

    @given(text=near | st.text())
    @settings(deadline=None, max_examples=60)
    def test_any_text_earns_what_the_rule_written_out_says(self, text: str) -> None:
        body, _, answer = text.strip().removeprefix("<think>").partition("</think>")
        once = text.count("<think>") == 1 == text.count("</think>")
        right = once and text.strip().startswith("<think>") and body.strip() and answer.strip()
        assert think_format([text]) == [float(bool(right))]

    @pytest.mark.parametrize("piece", ["<think>", "</think>", "<", "a", " ", "<think>a</think>b"])
    def test_a_megabyte_of_one_piece_is_judged(self, piece: str) -> None:
        huge = piece * (1_000_000 // len(piece))
        assert think_format([huge]) == [0.0]
        assert think_format([f"<think>{'a' * 1_000_000}</think>2"]) == [1.0]


class TestPrefilled:
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("1+1</think>2", ""),
            ("\n1+1\n</think>\n2", ""),
            (RIGHT, ""),  # it repeats the tag, and is judged as it is
            (f"\n{RIGHT}", ""),
            ("", "no </think>"),
            ("</think>2", "empty <think>"),
            ("1+1</think>", "nothing after </think>"),
            ("1+1 <think>more</think>2", "<think> occurs 2 times"),
            ("<think></think>2", "empty <think>"),
            ("1+1</think>2</think>3", "</think> occurs 2 times"),
        ],
    )
    def test_a_completion_may_start_inside_the_reasoning(self, text: str, fault: str) -> None:
        assert PREFILLED([text]) == [0.0 if fault else 1.0]
        assert detail(PREFILLED, text) == fault


class TestCheats:
    def test_one_character_is_a_reasoning_and_another_an_answer(self) -> None:
        assert think_format(["<think>.</think>."]) == [1.0]

    def test_a_character_without_width_is_one_too(self) -> None:
        assert think_format(["<think>​</think>​"]) == [1.0]


class TestTRL:
    """The differences that the docstring names, against the original."""

    @pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")
    def test_differs_from_trl_where_the_docstring_says_and_nowhere_else(self) -> None:
        there_only = ["<think></think>2", "<think>1</think>2</think>3", "<think>1</think>", "<think> </think>2"]
        here_only = [" <think>1</think>2", "\n<think>1\n2</think>3"]
        both = [RIGHT, "<think>1\n\n2</think>\n3\n4"]
        neither = ["", "2", "x\n<think>1</think>2", "<think>1", "<think>1</think>2<think>", "1</think>2"]
        texts = [*there_only, *here_only, *both, *neither]
        # In a process of its own: trl sets warning filters and imports much.
        code = """
import json, sys, warnings
warnings.simplefilter("ignore")
try:
    from trl.rewards import think_format_reward
except ImportError as error:
    print(json.dumps(f"cannot import TRL's rewards: {error}")); sys.exit()
print(json.dumps(think_format_reward([[{"content": text}] for text in json.loads(sys.argv[1])])))
"""
        run = [sys.executable, "-c", code, json.dumps(texts)]
        ran = subprocess.run(run, check=True, capture_output=True, text=True)
        theirs = json.loads(ran.stdout.splitlines()[-1])
        if isinstance(theirs, str):
            pytest.skip(theirs)
        assert theirs == [1.0] * 4 + [0.0] * 2 + [1.0] * 2 + [0.0] * 6
        assert think_format(texts) == [0.0] * 4 + [1.0] * 2 + [1.0] * 2 + [0.0] * 6


@pytest.mark.parametrize("reward", [think_format, PREFILLED, ThinkFormat(name="thinks")], ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: ThinkFormat) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), {"ThinkFormat": ThinkFormat}) == reward
    assert isinstance(hash(reward), int)


def test_the_ready_instance_has_the_defaults() -> None:
    assert think_format == ThinkFormat()
    assert think_format.__name__ == "think_format"
