"""A few seconds of benchmarks/fuzz_equivalence.py, from a fixed seed, and what the fuzzer itself must do."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rewardkit.equivalence import check as checking

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "fuzz_equivalence.py"


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    pytest.importorskip("rich", reason="the fuzzer shows its progress with rich")
    spec = importlib.util.spec_from_file_location("fuzz_equivalence", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_five_seconds_break_nothing(fuzzer: ModuleType) -> None:
    result = fuzzer.fuzz(5, seed=0, executions=3_000)
    assert result.executions > 100
    assert result.lines > 1_000
    assert not result.findings, "\n".join(f"{f.key}: {f.report} {f.case!r}" for f in result.findings.values())


def test_the_same_seed_does_the_same(fuzzer: ModuleType) -> None:
    one, two = (fuzzer.mutated(fuzzer.Case("x+1", "2"), [fuzzer.Case("y", "z")], fuzzer.random.Random(5)) for _ in "ab")
    assert one == two


def test_an_exception_a_hang_and_an_asymmetry_are_findings(fuzzer: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = checking.check

    def broken(answer: str, truth: str, *rest: object) -> checking.Verdict:
        if answer == "raise":
            raise IndexError("made up")
        while answer == "hang":
            pass
        return (
            checking.Verdict(answer == "asymmetric", "made up")
            if "asymmetric" in (answer, truth)
            else right(answer, truth)
        )

    monkeypatch.setattr(checking, "check", broken)
    keys = [fuzzer.examine(fuzzer.Case(answer, "2"), 0.2)[1].key for answer in ("raise", "hang", "asymmetric")]
    assert keys == ["IndexError in ?", "slow", "asymmetric ('made up',)"]
    assert fuzzer.examine(fuzzer.Case("1", "2"))[1] is None


def test_a_finding_is_made_short(fuzzer: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(answer: str, truth: str, *rest: object) -> checking.Verdict:
        if "7" in answer and "8" in truth:
            raise IndexError("made up")
        return checking.Verdict(True, "text")

    monkeypatch.setattr(checking, "check", broken)
    _, finding = fuzzer.examine(fuzzer.Case(r"x + \frac{7}{y}", "1, 2, 8"))
    assert fuzzer.shortened(finding).case == fuzzer.Case("7", "8")


def test_inputs_are_saved_and_read_again(fuzzer: ModuleType, tmp_path: Path) -> None:
    case = fuzzer.Case(r"\frac12", "½")
    fuzzer.save([fuzzer.Finding("a key", "a report", case)], tmp_path / "new")
    (file,) = (tmp_path / "new").iterdir()
    assert fuzzer.as_case(file.read_text(encoding="utf-8")) == case
    assert fuzzer.as_case("alone") == fuzzer.Case("alone", "alone")
