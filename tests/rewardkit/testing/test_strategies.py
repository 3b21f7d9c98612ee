"""Specification of the Hypothesis strategies: what they draw is what they say, and rewards agree with it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import StrictFormat, answer_accuracy, boxed_accuracy, strict_format
from rewardkit.contract import completion_text
from rewardkit.testing import EMPTY, HOSTILE
from rewardkit.testing.strategies import (
    DrawnBatch,
    answers,
    batches,
    boxed,
    completions,
    hostile,
    malformed,
    messages,
    truncated,
    well_formed,
)

relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
TAGS = ("plan", "steps", "final")


class TestCompletions:
    @given(text=well_formed())
    @relaxed
    def test_a_well_formed_one_has_the_strict_layout(self, text: str) -> None:
        assert strict_format([text]) == [1.0]

    @given(text=well_formed(tags=TAGS))
    @relaxed
    def test_in_the_tags_that_are_asked_for(self, text: str) -> None:
        assert StrictFormat(tags=TAGS)([text]) == [1.0]

    @given(text=malformed())
    @relaxed
    def test_a_malformed_one_has_not(self, text: str) -> None:
        assert strict_format([text]) == [0.0]

    @given(text=truncated())
    @relaxed
    def test_nor_has_one_that_is_cut_off(self, text: str) -> None:
        assert strict_format([text]) == [0.0]
        assert "</answer>" not in text

    @given(text=st.one_of(malformed(tags=("answer",)), truncated(tags=("answer",))))
    @relaxed
    def test_one_tag_is_enough(self, text: str) -> None:
        assert StrictFormat(tags=("answer",))([text]) == [0.0]

    @given(gold=answers(), data=st.data())
    @relaxed
    def test_the_answer_is_the_one_that_is_drawn_written_as_asked(self, gold: str, data: st.DataObject) -> None:
        plain = data.draw(well_formed(answers=st.just(gold)))
        in_box = data.draw(well_formed(answers=st.just(gold), write=boxed))
        assert answer_accuracy([plain, in_box], answer=[gold, gold]) == [1.0, 1.0]
        assert boxed_accuracy([in_box], answer=gold) == [1.0]

    @pytest.mark.parametrize("text", ["", "\ud800", HOSTILE["null bytes"]])
    def test_a_hostile_one_may_be_any_of_the_catalogue(self, text: str) -> None:
        assert (
            find(hostile(), lambda drawn: drawn == text, settings=settings(max_examples=20_000, database=None)) == text
        )

    @given(text=hostile())
    @relaxed
    def test_and_is_short_enough_to_be_read(self, text: str) -> None:
        assert len(text) <= 20_000

    def test_any_kind_is_drawn(self) -> None:
        kinds = (
            lambda text: strict_format([text]) == [1.0],
            lambda text: text.startswith("<think>") and "</think>" not in text,
            lambda text: text in HOSTILE.values() or text in EMPTY.values(),
        )
        for kind in kinds:
            assert kind(find(completions(), kind, settings=settings(max_examples=5_000, database=None)))

    def test_a_wrong_tag_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="'<a>' is no tag name"):
            find(well_formed(tags=("<a>",)), bool, settings=settings(database=None))


class TestMessages:
    @given(text=completions(), data=st.data())
    @relaxed
    def test_say_what_is_drawn_as_text_or_parts(self, text: str, data: st.DataObject) -> None:
        message = data.draw(messages(of=st.just(text)))
        assert message[0]["role"] == "assistant"
        assert completion_text(message) == text

    @given(message=messages())
    @relaxed
    def test_earn_what_their_text_earns(self, message: list[dict[str, object]]) -> None:
        for reward in (rewardkit.soft_format, rewardkit.xml_count, rewardkit.keywords):
            assert reward([message]) == reward([completion_text(message)])


class TestBatches:
    @given(batch=batches(min_size=2, max_size=5))
    @relaxed
    def test_have_one_reference_and_one_verdict_per_completion(self, batch: DrawnBatch) -> None:
        drawn, ground_truth, right = batch
        assert len(drawn) == len(ground_truth) == len(right)
        assert 2 <= len(drawn) <= 5
        assert set(right) <= {0.0, 1.0, None}

    @given(plain=batches(), in_box=batches(write=boxed, tags=TAGS), data=st.data())
    @relaxed
    def test_the_verdict_is_what_a_sound_reward_pays(
        self, plain: DrawnBatch, in_box: DrawnBatch, data: st.DataObject
    ) -> None:
        for reward, batch in ((answer_accuracy, plain), (boxed_accuracy, in_box)):
            values = reward(batch.completions, ground_truth=batch.ground_truth)
            assert all(right is None or value == right for value, right in zip(values, batch.right, strict=True))

    @given(batch=batches(answers=st.sampled_from(["yes", "no"]), min_size=3))
    @relaxed
    def test_right_answers_are_of_the_kind_that_is_asked_for(self, batch: DrawnBatch) -> None:
        golds = {gold for gold, right in zip(batch.ground_truth, batch.right, strict=True) if right == 1.0}
        assert golds <= {"yes", "no"}


def test_without_hypothesis_the_check_works_and_the_strategies_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from rewardkit.testing import check_reward\n"
        "try:\n    import rewardkit.testing.strategies\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "needs Hypothesis; pip install hypothesis" in done.stdout
