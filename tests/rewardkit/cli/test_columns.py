"""Specification of columns: which one holds the completions, which the prompts, what the others are called."""

from __future__ import annotations

import pytest

from rewardkit.cli.columns import Columns, find_columns, read_renames
from rewardkit.cli.errors import UsageError

ROW = {"question": "?", "text": "!", "answer": "1"}


class TestCompletions:
    @pytest.mark.parametrize("name", ["completion", "completions", "response", "output"])
    def test_are_found_under_their_usual_names(self, name: str) -> None:
        assert find_columns({"text": "?", name: "!"}).completion == name

    def test_are_those_of_the_first_usual_name(self) -> None:
        assert find_columns({"output": "?", "completion": "!"}).completion == "completion"

    def test_are_where_the_user_says(self) -> None:
        assert find_columns(ROW, completion="text").completion == "text"

    def test_that_are_not_found_are_told_with_the_columns_there_are(self) -> None:
        with pytest.raises(UsageError, match=r"the file has answer, question, text, .*--completion-column"):
            find_columns(ROW)

    def test_named_wrongly_are_told_with_what_was_meant(self) -> None:
        with pytest.raises(UsageError, match="did you mean 'text'"):
            find_columns(ROW, completion="txt")


class TestPrompts:
    def test_need_not_be_there(self) -> None:
        assert find_columns(ROW, completion="text").prompt is None

    @pytest.mark.parametrize("name", ["prompt", "prompts"])
    def test_are_found_under_their_usual_names(self, name: str) -> None:
        assert find_columns({name: "?", "completion": "!"}).prompt == name

    def test_named_wrongly_are_told(self) -> None:
        with pytest.raises(UsageError, match="--prompt-column: the file has no column 'prompt'"):
            find_columns(ROW, completion="text", prompt="prompt")

    def test_go_by_their_own_keyword_and_by_no_other(self) -> None:
        columns = find_columns(ROW, completion="text", prompt="question")
        assert columns.call([ROW]) == (["!"], {"answer": ["1"], "prompts": ["?"]})


class TestOtherColumns:
    def test_go_by_their_names(self) -> None:
        assert find_columns(ROW, completion="text").call([ROW]) == (["!"], {"question": ["?"], "answer": ["1"]})

    def test_are_renamed_before_anything_else(self) -> None:
        columns = find_columns(ROW, rename={"text": "completion", "question": "prompt", "answer": "gold"})
        assert (columns.completion, columns.prompt, columns.prompt_in_file) == ("completion", "prompt", "question")
        assert columns.call([columns.renamed(ROW)]) == (["!"], {"gold": ["1"], "prompts": ["?"]})

    @pytest.mark.parametrize("rename", [{"text": "answer"}, {"txt": "completion"}])
    def test_cannot_be_renamed_to_one_that_is_there_nor_from_one_that_is_not(self, rename: dict[str, str]) -> None:
        with pytest.raises(UsageError, match="--rename"):
            find_columns({**ROW, "completion": "!"}, rename=rename)

    @pytest.mark.parametrize("name", ["completions", "prompts"])
    def test_cannot_have_the_name_of_an_argument(self, name: str) -> None:
        with pytest.raises(UsageError, match=f"--rename {name}=NAME"):
            find_columns({"completion": "!", "prompt": "?", name: 1})

    def test_that_a_later_row_names_twice_are_an_error_of_that_row(self) -> None:
        with pytest.raises(ValueError, match="named alike"):
            Columns(rename={"a": "b"}).renamed({"a": 1, "b": 2})


@pytest.mark.parametrize("pairs", [["a"], ["=b"], ["a="], ["a=b", "a=c"], ["a=c", "b=c"]])
def test_a_rename_is_two_names_each_given_once(pairs: list[str]) -> None:
    with pytest.raises(UsageError, match="--rename"):
        read_renames(pairs)
