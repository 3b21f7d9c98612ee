"""The problem generator: splits, answers, determinism, errors."""

import re

import pytest

from recipes.embedded.problems import LARGEST, TEMPLATES, TEST_MODULUS, apply, problems

LINE = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")


def numbers(question):
    return [int(number) for number in re.findall(r"\d+", question)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_numbers_in_a_question_decide_its_split(split):
    for row in problems(3000, seed=1, split=split):
        assert (sum(numbers(row["question"])) % TEST_MODULUS == 0) == (split == "test")


def test_no_question_is_in_both_splits_whatever_the_seeds():
    train = {row["question"] for seed in range(3) for row in problems(2000, seed=seed, split="train")}
    test = {row["question"] for seed in range(3) for row in problems(2000, seed=seed, split="test")}
    assert not train & test


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_step_is_right_and_the_last_result_is_the_answer(split):
    for row in problems(3000, seed=2, split=split):
        *lines, final = row["answer"].splitlines()
        assert 2 <= len(lines) <= 3
        for line in lines:
            left, operation, right, result = LINE.fullmatch(line).groups()
            assert apply(int(left), operation, int(right)) == int(result)
            assert 0 <= int(result) <= LARGEST
        assert final == f"#### {result}"


def test_every_operand_is_in_the_question_or_an_earlier_result():
    for row in problems(3000, seed=3, split="train"):
        known = numbers(row["question"])
        for left, _, right, result in LINE.findall(row["answer"]):
            assert int(left) in known
            assert int(right) in known
            known.append(int(result))


def test_every_number_of_a_question_is_used():
    for row in problems(3000, seed=4, split="train"):
        used = {int(operand) for line in LINE.findall(row["answer"]) for operand in (line[0], line[2])}
        assert set(numbers(row["question"])) <= used


def test_every_template_occurs_in_both_splits():
    openings = [re.compile(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(template.text))) for template in TEMPLATES]
    for split in ("train", "test"):
        rows = problems(2000, seed=0, split=split)
        assert all(any(opening.fullmatch(row["question"]) for row in rows) for opening in openings)


def test_a_question_reads_like_text():
    for row in problems(2000, seed=5, split="train"):
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 ,.]*\?", row["question"])
        assert "  " not in row["question"]


def test_the_questions_are_different():
    rows = problems(5000, seed=0, split="test")
    assert len({row["question"] for row in rows}) == len(rows) == 5000


def test_a_seed_gives_the_same_problems_and_a_prefix_of_a_longer_draw():
    assert problems(50, seed=7, split="train") == problems(200, seed=7, split="train")[:50]
    assert problems(50, seed=7, split="train") != problems(50, seed=8, split="train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"count": 2.0}, r"count must be an integer, got 2.0 \(float\)"),
        ({"count": True}, "count must be an integer, got True"),
        ({"seed": None}, "seed must be an integer, got None"),
        ({"split": "valid"}, "split must be one of 'train', 'test', got 'valid'"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        problems(**{"count": 1, "seed": 0, "split": "train"} | arguments)
