"""Specification of rewardkit.report and rewardkit.breakdown: contributions that add up, and how they are shown."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit import Reward, boxed_accuracy, combine, max_of, min_of, product, route, schedule, strict_format
from rewardkit.breakdown import ROUNDING
from tests.rewardkit.rewards_for_tests import Fixed, fixed

GOOD = "<think>\n1+1\n</think>\n<answer>\n\\boxed{2}\n</answer>"
STACK = combine(boxed_accuracy, strict_format, weights=[2.0, 0.5], clip=(0.0, 2.25), name="r1")


@st.composite
def leaves(draw: st.DrawFn) -> Reward:
    value = draw(st.none() | st.floats(-1e3, 1e3).map(lambda v: round(v, 3)))
    return Fixed(name=f"leaf{draw(st.integers(0, 10**9))}", values=(value,) * 3)


def grown(inner: st.SearchStrategy[Reward]) -> st.SearchStrategy[Reward]:
    """One more layer of anything that rewards can be made of."""
    weights = st.floats(-10, 10).map(lambda w: round(w, 2))
    limits = st.tuples(st.floats(-50, 0), st.floats(0, 50))
    several = st.lists(inner, min_size=1, max_size=3, unique_by=lambda r: r.__name__)

    @st.composite
    def layer(draw: st.DrawFn) -> Reward:
        name = f"node{draw(st.integers(0, 10**9))}"
        kind = draw(st.sampled_from("sum clipped times gate min max product map route clip".split()))
        if kind == "gate":
            return draw(inner).gate(draw(inner), at_least=0.0, otherwise=draw(st.none() | weights)).named(name)
        if kind == "map":
            return draw(inner).map(math.tanh, name=name)
        if kind == "times":
            return (draw(weights) * draw(inner)).named(name)
        if kind == "clip":
            return draw(inner).clip(*draw(limits)).named(name)
        members = draw(several)
        if kind == "min":
            return min_of(*members, name=name)
        if kind == "max":
            return max_of(*members, name=name)
        if kind == "product":
            return product(*members, name=name).clip(-1e6, 1e6)
        if kind == "route":
            return route("k", dict(zip("abc", members, strict=False)), default=members[0], name=name)
        wanted = draw(st.lists(weights, min_size=len(members), max_size=len(members)))
        return combine(*members, weights=wanted, clip=draw(limits) if kind == "clipped" else None, name=name)

    return layer()


TREES = st.recursive(leaves(), grown, max_leaves=8)


class TestContributions:
    @given(TREES)
    def test_add_up_to_the_total_exactly(self, tree: Reward) -> None:
        batch: dict[str, Any] = {"completions": ["x", "y", "z"], "k": ["a", "b", "other"]}
        report = tree.explain(**batch)
        assert report.totals == tree(**batch)
        for row in report:
            added = [c.contribution for c in row.components if c.contribution is not None]
            if row.total is None:
                assert all(c.path != ROUNDING for c in row.components)
            else:
                assert sum(added) == row.total

    @given(TREES)
    def test_paths_are_unique_within_a_row(self, tree: Reward) -> None:
        for row in tree.explain(["x", "y", "z"], k=["a", "b", "other"]):
            paths = [c.path for c in row.components]
            assert len(set(paths)) == len(paths)

    def test_of_a_plain_sum_are_weight_times_value(self) -> None:
        row = combine(fixed("a", 3.0), fixed("b", 5.0), weights=[2.0, -0.5]).explain(["x"])[0]
        assert [(c.path, c.value, c.weight, c.contribution) for c in row.components] == [
            ("a", 3.0, 2.0, 2.0 * 3.0),
            ("b", 5.0, -0.5, -0.5 * 5.0),
        ]

    def test_what_a_clip_takes_is_its_own(self) -> None:
        row = STACK.explain([GOOD], answer="2")[0]
        assert row["r1"].contribution == 2.25 - (2.0 + 0.5)
        assert row["r1"].clipped
        assert sum(c.contribution or 0.0 for c in row.components) == 2.25

    def test_a_clip_that_did_not_bind_is_not_listed(self) -> None:
        row = STACK.explain(["no"], answer="2")[0]
        assert [c.path for c in row.components] == ["boxed_accuracy", "strict_format"]

    def test_weights_multiply_down_the_tree(self) -> None:
        inner = combine(fixed("a", 3.0), fixed("b", 1.0), weights=[2.0, 1.0], clip=(0.0, 5.0), name="inner")
        row = (10.0 * inner + fixed("c", 1.0)).explain(["x"])[0]
        assert row["inner/a"].weight == 10.0 * 2.0
        assert row["inner"].contribution == 10.0 * (5.0 - 7.0)
        assert row.total == 10.0 * 5.0 + 1.0

    def test_of_what_is_not_scored_are_none(self) -> None:
        row = combine(fixed("a", None), fixed("b", 1.0)).explain(["x"])[0]
        assert (row["a"].value, row["a"].contribution, row["a"].status) == (None, None, "not_scored")

    def test_a_sum_that_is_clipped_to_next_to_nothing_still_adds_up(self) -> None:
        tiny = combine(fixed("a", -2.0), fixed("b", 1.062), weights=[2.0, 1.0], clip=(-1.36e-261, 0.0)).explain(["x"])[
            0
        ]
        assert sum(c.contribution or 0.0 for c in tiny.components) == tiny.total == -1.36e-261
        assert [c.path for c in tiny.components][-2:] == [ROUNDING, f"{ROUNDING}/2"]

    def test_rounding_of_nested_weights_is_said(self) -> None:
        inner = combine(fixed("a", 0.1), fixed("b", 0.2), weights=[0.1, 0.7], name="inner")
        row = combine(inner, weights=[0.3]).explain(["x"])[0]
        parts = 0.3 * 0.1 * 0.1 + 0.3 * 0.7 * 0.2
        assert row.total != parts
        assert row[ROUNDING].contribution == row.total - parts  # type: ignore[operator]


class TestRow:
    def test_holds_what_was_extracted_and_the_reference_with_its_column(self) -> None:
        component = STACK.explain([r"\boxed{3}"], solution=["2"])[0]["boxed_accuracy"]
        assert (component.extracted, component.gold, component.gold_column) == ("3", "2", "solution")
        assert (component.status, component.gated, component.clipped) == ("wrong", False, False)

    def test_says_what_a_gate_hid(self) -> None:
        row = boxed_accuracy.gate(strict_format).explain([r"\boxed{2}"], answer="2")[0]
        assert row["boxed_accuracy"].gated
        assert row["boxed_accuracy"].contribution == 0.0

    def test_is_asked_by_path_or_by_name(self) -> None:
        row = combine(combine(fixed("a", 1.0), name="inner"), fixed("b", 1.0)).explain(["x"])[0]
        assert row["inner/a"] == row["a"]
        with pytest.raises(KeyError, match="'z' names 0 components of this row; there are inner, inner/a, b"):
            row["z"]


class TestReport:
    def test_is_a_sequence_of_rows(self) -> None:
        report = STACK.explain([GOOD, "no"], answer="2")
        assert len(report) == 2
        assert [row.index for row in report] == [0, 1]
        assert report[-1].total == 0.0
        assert [row.total for row in report[:1]] == [2.25]

    def test_explains_in_one_paragraph(self) -> None:
        why = STACK.explain([GOOD, r"\boxed{3}"], answer="2").why
        assert why(0).startswith("Completion 0 earned 2.25. r1 gave 2.25 (scored), clipped from 2.5.")
        assert "boxed_accuracy gave 0 (wrong: '3': 3 ≠ 2; answer is '2'), times 2 is 0." in why(1)
        assert "strict_format gave 0 (wrong: no <think>), times 0.5 is 0." in why(1)
        with pytest.raises(IndexError, match="completion 2 of a report of 2"):
            why(2)

    def test_dicts_are_json(self) -> None:
        dicts = json.loads(json.dumps(STACK.explain([GOOD], answer="2").to_dicts()))
        assert dicts[0]["total"] == 2.25
        assert [c["path"] for c in dicts[0]["components"]] == ["r1", "boxed_accuracy", "strict_format"]

    def test_pandas_has_one_row_per_completion(self) -> None:
        pandas = pytest.importorskip("pandas", reason="to_pandas needs pandas")
        frame = STACK.explain([GOOD, "no"], answer="2").to_pandas(detail=True)
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame["total"]) == [2.25, 0.0]
        assert list(frame["boxed_accuracy/contribution"]) == [2.0, 0.0]
        assert list(frame["boxed_accuracy/status"]) == ["correct", "no_answer"]

    def test_summarises_every_component(self) -> None:
        report = STACK.explain([GOOD, "no", GOOD], answer="2")
        boxed = next(s for s in report.summaries if s.path == "boxed_accuracy")
        assert boxed.mean == pytest.approx(2 / 3)
        assert boxed.contribution == pytest.approx(2.0 * 2 / 3)
        assert boxed.statuses == {"correct": 2, "no_answer": 1}
        clip = next(s for s in report.summaries if s.path == "r1")
        assert clip.clipped == 2

    def test_prints_as_two_tables(self) -> None:
        text = str(STACK.explain([GOOD, "no"] * 15, answer="2"))
        assert "r1: contributions by completion" in text
        assert "and 10 more" in text
        assert "× 2" in text
        assert "│ boxed_accuracy" in text

    def test_of_nothing_prints(self) -> None:
        report = STACK.explain([], answer=[])
        assert len(report) == 0
        assert "contributions by completion" in str(report)
        assert "<table>" in report._repr_html_()

    def test_data_is_never_markup(self) -> None:
        evil = "\\boxed{<script>alert(1)</script>[red]}"
        report = boxed_accuracy.named("[bold]x").explain([evil], answer="2")
        html = report._repr_html_()
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
        assert "[bold]x" in str(report)

    def test_scheduled_weights_show_what_was_applied(self) -> None:
        row = (schedule.linear(0, 1, steps=10) * fixed("a", 4.0) + fixed("b", 0.0)).explain(["x"], global_step=5)[0]
        assert (row["a"].weight, row["a"].contribution, row["a"].scheduled) == (0.5, 2.0, 0.5)
