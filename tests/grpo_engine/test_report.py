"""The report says what the files say, survives half-written files, and treats every text as hostile."""

from __future__ import annotations

import json
import re
import struct
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from grpo_engine.report import headline, reading, write_report
from grpo_engine.report import page as page_module
from grpo_engine.report.__main__ import main
from grpo_engine.report.headline import accuracy_name, summary, thin
from grpo_engine.report.page import render_page
from grpo_engine.report.reading import Curves, read_run

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \x1b[31m \u2028 \u202e \ud800 {{RUN}} &lt; " + "\\" * 3 + '"'
CONFIG = {
    "recipe": "gsm8k_r1",
    "config": {"learning_rate": 1e-6, "max_steps": 4, "output_dir": "runs/a"},
    "environment": {"python": "3.11", "torch": "2.13", "device": "NVIDIA H200"},
}


def train_row(step: int, **values: Any) -> dict[str, Any]:
    return {
        "step": step,
        "epoch": step / 10,
        "reward": step / 10,
        "rewards/strict_format/mean": 0.9,
        "rewards/boxed_accuracy/mean": step / 20,
        "kl": 0.001 * step,
        "entropy": 0.5,
        "completions/mean_length": 40.0,
        "completions/min_length": 10.0,
        "completions/max_length": 90.0,
        "frac_reward_zero_std": 0.25,
        "num_tokens": 100 * step,
        "step_time": 1.5,
        "time/rollout": 1.0,
        "time/train": 0.5,
    } | values


def record(step: int, completion: str, **values: Any) -> dict[str, Any]:
    return {
        "step": step,
        "split": "train",
        "prompt": "What is 1 + 1?",
        "completion": completion,
        "reward": 1.0,
        "rewards": {"boxed_accuracy": 1.0, "length_band": None},
        "advantage": 0.5,
        "extra": {"status": "correct"},
    } | values


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def run_directory(
    path: Path,
    metrics: list[dict[str, Any]] | str,
    completions: list[dict[str, Any]] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    (path / "metrics.jsonl").write_text(metrics if isinstance(metrics, str) else lines(metrics))
    if completions is not None:
        (path / "completions.jsonl").write_text(lines(completions))
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    return path


def embedded(page: str) -> dict[str, Any]:
    """What the page's script will see: the text of the element, up to the first end tag."""
    found = re.search(r'<script type="application/json" id="run">(.*?)</script', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def page_data(directory: Path) -> dict[str, Any]:
    return embedded(render_page(read_run(directory)))


# --------------------------------------------------------------------------------------- what is written


def test_a_run_becomes_a_page_and_a_picture_beside_its_files(tmp_path: Path) -> None:
    run_directory(tmp_path, [train_row(step) for step in range(1, 5)], [record(1, "2")], CONFIG)
    page, picture = write_report(str(tmp_path))
    assert (page, picture) == (tmp_path / "report.html", tmp_path / "report.png")
    image = picture.read_bytes()
    assert image.startswith(b"\x89PNG")
    assert struct.unpack(">II", image[16:24]) == (1500, 900)
    assert len(image) > 30_000, "an empty canvas of this size takes a few kB"
    assert embedded(page.read_text(encoding="utf-8"))["title"] == "gsm8k_r1"


def test_curves_are_the_logged_values_and_evaluations_are_apart(tmp_path: Path) -> None:
    rows = [
        {"step": 0, "eval_reward": 0.25, "eval_rewards/boxed_accuracy/mean": 0.125},
        train_row(1),
        train_row(2),
        {"step": 2, "eval_reward": 0.5, "eval_rewards/boxed_accuracy/mean": 0.375},
    ]
    data = page_data(run_directory(tmp_path, rows))
    assert data["train"]["steps"] == [1, 2]
    assert data["train"]["series"]["reward"] == [0.1, 0.2]
    assert data["held_out"]["steps"] == [0, 2]
    assert data["held_out"]["series"] == {
        "reward": [0.25, 0.5],
        "rewards/boxed_accuracy/mean": [0.125, 0.375],
    }
    assert data["accuracy"] == "rewards/boxed_accuracy/mean"
    assert data["held_out_points"] == [[0, 0.125], [2, 0.375]]


def test_the_headline_is_computed_from_every_step(tmp_path: Path) -> None:
    run = read_run(run_directory(tmp_path, [train_row(step) for step in range(1, 101)], config=CONFIG))
    figures = summary(run)
    assert figures["steps"] == 100
    assert figures["seconds"] == pytest.approx(100 * 1.5)
    assert figures["tokens"] == 100 * 100
    first, last = sum(range(1, 11)) / 10, sum(range(91, 101)) / 10  # tenths of a reward
    assert figures["reward"] == pytest.approx([first / 10, last / 10])
    assert figures["window"] == 10


def test_an_entry_every_few_steps_stands_for_all_of_them(tmp_path: Path) -> None:
    rows = [train_row(step, step_time=seconds) for step, seconds in ((5, 2.0), (10, 1.0), (12, 3.0))]
    assert summary(read_run(run_directory(tmp_path, rows)))["seconds"] == 5 * 2.0 + 5 * 1.0 + 2 * 3.0


def test_without_an_accuracy_the_first_component_leads_and_without_components_the_reward() -> None:
    assert accuracy_name(Curves([1], {"rewards/a/mean": [1.0], "rewards/b/mean": [1.0]})) == "rewards/a/mean"
    assert accuracy_name(Curves([1], {"reward": [1.0]})) == "reward"
    assert accuracy_name(Curves()) is None


def test_a_completion_keeps_its_scores_and_not_scored_stays_null(tmp_path: Path) -> None:
    data = page_data(run_directory(tmp_path, [train_row(1)], [record(1, "2", reward=None, advantage=float("nan"))]))
    (shown,) = data["completions"]
    assert shown == record(1, "2", reward=None, advantage=None)


def test_the_configuration_is_shown_as_it_was_recorded(tmp_path: Path) -> None:
    config = {"config": {"beta": 0.0, "top_k": None, "optim": "adamw", "reward_weights": [1, 0.5]}}
    data = page_data(run_directory(tmp_path, [train_row(1)], config=config))
    assert data["config"] == {"beta": "0.0", "top_k": "null", "optim": "adamw", "reward_weights": "[1, 0.5]"}
    assert data["title"] == tmp_path.name, "without a recipe the directory names the run"


# ----------------------------------------------------------------------------- missing and broken files


def test_a_directory_without_metrics_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl.*output_dir"):
        write_report(tmp_path)


def test_metrics_alone_make_a_report_that_says_what_is_missing(tmp_path: Path) -> None:
    run = read_run(run_directory(tmp_path, [train_row(1)]))
    assert any("completions.jsonl is missing" in note for note in run.notes)
    assert any("config.json is missing" in note for note in run.notes)
    assert embedded(render_page(run))["completions"] == []


def test_a_run_that_has_logged_nothing_yet_still_has_a_report(tmp_path: Path) -> None:
    page, picture = write_report(run_directory(tmp_path, ""))
    assert embedded(page.read_text())["steps"] == 0
    assert picture.stat().st_size > 0


def test_a_torn_last_line_is_no_fault_and_an_unreadable_one_before_it_is_named(tmp_path: Path) -> None:
    good = lines([train_row(1)])
    torn = read_run(run_directory(tmp_path, good + '{"step": 2, "rewa'))
    assert torn.train.steps == [1]
    assert not any("unreadable lines" in note for note in torn.notes)
    bad = read_run(run_directory(tmp_path, good + '{"step": 2, "rewa\n[1]\n{"no": "step"}\n' + lines([train_row(3)])))
    assert bad.train.steps == [1, 3]
    assert "3 unreadable lines of metrics.jsonl were skipped." in bad.notes


def test_a_line_torn_inside_a_character_is_skipped(tmp_path: Path) -> None:
    run_directory(tmp_path, [train_row(1)])
    whole = json.dumps(record(1, "ok")).encode() + b"\n"
    (tmp_path / "completions.jsonl").write_bytes(whole + '{"step": 2, "completion": "é'.encode()[:-1])
    assert [row["completion"] for row in read_run(tmp_path).completions] == ["ok"]


@pytest.mark.parametrize("text", ["", '{"config": {', "[]", "null"])
def test_a_half_written_config_is_reported_not_fatal(tmp_path: Path, text: str) -> None:
    run_directory(tmp_path, [train_row(1)])
    (tmp_path / "config.json").write_text(text)
    assert page_data(tmp_path)["config"] == {}


def test_null_nan_infinities_and_texts_are_gaps(tmp_path: Path) -> None:
    values = [0.5, None, float("nan"), float("inf"), "0.5", True, 10**400, 0.25]
    rows = [{"step": step, "loss": value} for step, value in enumerate(values, start=1)]
    rows.append({"step": 9, "loss": 0.125, "kl": float("nan")})
    data = page_data(run_directory(tmp_path, rows))
    assert data["train"]["series"] == {"loss": [0.5, None, None, None, None, None, None, 0.25, 0.125]}


def test_a_picture_is_drawn_through_gaps(tmp_path: Path) -> None:
    nothing = dict.fromkeys(train_row(1), None)
    write_report(run_directory(tmp_path, [train_row(1), {**nothing, "step": 2}, train_row(3, kl=float("nan"))]))


def test_a_resumed_run_replaces_the_steps_it_took_again(tmp_path: Path) -> None:
    rows = [train_row(step, reward=0.0) for step in (1, 2, 3, 4)] + [train_row(3, reward=1.0)]
    records = [record(step, "old") for step in (1, 2, 3, 4)] + [record(3, "new")]
    data = page_data(run_directory(tmp_path, rows, records))
    assert data["train"]["steps"] == [1, 2, 3]
    assert data["train"]["series"]["reward"] == [0.0, 0.0, 1.0]
    # Both records of step 3 stay: the file does not say where one attempt at a step ends.
    assert [(row["step"], row["completion"]) for row in data["completions"]][-1] == (3, "new")
    assert all(row["step"] <= 3 for row in data["completions"])


# ------------------------------------------------------------------------------------------ hostile text


def test_a_hostile_text_reaches_the_page_whole_and_never_as_markup(tmp_path: Path) -> None:
    hostile = record(1, HOSTILE, prompt=HOSTILE, rewards={HOSTILE: 1.0}, extra={HOSTILE: HOSTILE})
    rows = [train_row(1, **{f"rewards/{HOSTILE}/mean": 1.0})]
    config = {"recipe": HOSTILE, "config": {HOSTILE: HOSTILE}, "environment": {"device": HOSTILE}}
    page = render_page(read_run(run_directory(tmp_path, rows, [hostile], config)))
    page.encode("utf-8")  # a lone surrogate must not stop the file from being written
    template = resources.files("grpo_engine.report").joinpath("page.html").read_text(encoding="utf-8")
    for piece in ("</script", "<img", "<!--", "\x1b", "\u2028"):
        assert page.count(piece) == template.count(piece), piece
    data = embedded(page)
    assert data["completions"][0]["completion"] == HOSTILE
    assert data["completions"][0]["rewards"] == {HOSTILE: 1.0}
    assert data["config"] == {HOSTILE: HOSTILE}


def test_the_page_sets_text_only_as_text_and_asks_the_network_for_nothing() -> None:
    template = resources.files("grpo_engine.report").joinpath("page.html").read_text(encoding="utf-8")
    assert template.count(page_module.PLACEHOLDER) == 1
    assert "default-src 'none'" in template
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
    ):
        assert sink not in template, sink
    assert set(re.findall(r"https?://[^\s\"'`]+", template)) == {"http://www.w3.org/2000/svg"}  # a name, not a request
    assert not re.search(r"<(link|img|iframe|script)[^>]*\b(src|href)=", template)
    assert "fetch(" not in template
    assert "XMLHttpRequest" not in template


@pytest.mark.parametrize("name", ["$x^$", "_private", "奖励", "\ud800\n\x1b", "a" * 300, "", "%s {0}"])
def test_a_reward_may_be_called_anything(tmp_path: Path, name: str) -> None:
    rows = [train_row(1, **{f"rewards/{name}/mean": 0.5}), {"step": 1, f"eval_rewards/{name}/mean": 0.5}]
    write_report(run_directory(tmp_path, rows, config={"recipe": f"$ {name}"}))


# --------------------------------------------------------------------------------------------------- size


def test_a_thousand_steps_of_32_completions_make_a_page_below_5_mb(tmp_path: Path) -> None:
    text = "The total is 12 × 7 = 84. " * 20
    rows = [train_row(step, **{f"extra/{i}": step / 7 for i in range(20)}) for step in range(1, 1001)]
    records = [record(step, text) for step in range(1, 1001) for _ in range(32)]
    records += [record(step, text, split="eval") for step in (0, 500, 1000) for _ in range(100)]
    run = read_run(run_directory(tmp_path, rows, sorted(records, key=lambda row: row["step"])))
    page = render_page(run)
    assert len(page.encode()) < 5_000_000
    data = embedded(page)
    kept = [row["step"] for row in data["completions"] if row["split"] == "train"]
    tested = [row["step"] for row in data["completions"] if row["split"] == "eval"]
    assert (kept[0], kept[-1], tested[0], tested[-1]) == (1, 1000, 0, 1000)
    assert 100 < len(kept) <= reading.KEPT_RECORDS["train"]
    assert len(tested) <= reading.KEPT_RECORDS["eval"]
    gaps = [b - a for a, b in zip(sorted(set(kept)), sorted(set(kept))[1:], strict=False)]
    assert max(gaps) - min(gaps) <= 1, "the kept steps are evenly spread"
    assert any(f"of {len(records):,} completions" in note for note in data["notes"])


def test_huge_texts_lose_their_middle_until_the_page_fits(tmp_path: Path) -> None:
    huge = "start " + "🙂" * 100_000 + " the answer"  # twelve bytes each, as escaped JSON
    data_page = render_page(read_run(run_directory(tmp_path, [train_row(1)], [record(1, huge)] * 20)))
    assert len(data_page) < 5_000_000
    for row in embedded(data_page)["completions"]:
        assert row["completion"].startswith("start ")
        assert row["completion"].endswith(" the answer")
        assert "characters left out" in row["completion"]


def test_one_step_with_more_completions_than_fit_keeps_the_first_groups(tmp_path: Path) -> None:
    records = [record(1, str(i)) for i in range(1_000)]
    data = page_data(run_directory(tmp_path, [train_row(1)], records))
    assert [row["completion"] for row in data["completions"]] == [str(i) for i in range(reading.KEPT_PER_STEP)]


def test_long_curves_are_pooled_by_mean_and_bounds_by_their_extremes() -> None:
    count = 2 * headline.MAX_POINTS
    values = [float(i % 4) for i in range(count)]  # buckets of two: (0, 1) and (2, 3)
    names = ("loss", "completions/min_length", "completions/max_length")
    pooled = thin(Curves(list(range(1, count + 1)), {name: list(values) for name in names}))
    assert len(pooled.steps) == headline.MAX_POINTS
    assert pooled.steps[-1] == count
    assert pooled.series["loss"][:2] == [(0 + 1) / 2, (2 + 3) / 2]
    assert pooled.series["completions/min_length"][:2] == [0, 2]
    assert pooled.series["completions/max_length"][:2] == [1, 3]


def test_short_curves_are_left_as_they_are() -> None:
    curves = Curves([1, 2, 3], {"loss": [1.0, None, 3.0]})
    assert thin(curves) == curves


# --------------------------------------------------------------------------------------- the command line


def test_the_command_prints_the_two_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run_directory(tmp_path, [train_row(1)]))])
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n{tmp_path / 'report.png'}\n"


def test_the_command_names_a_directory_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path)])
    assert "metrics.jsonl" in capsys.readouterr().err
