"""Specification of reward_model: vLLM's and OpenRLHF's protocol, local scorers, one finite number a row."""

from __future__ import annotations

import asyncio
import math
import pickle
import random
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import combine, exact_match
from rewardkit.contract import Batch, ColumnError, Outcome, RewardError
from rewardkit.judging.reward_model import RewardModel, reward_model
from tests.rewardkit.judging.local_server import NO_PAUSE, LocalServer, Request, Response, serve


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def lengths(texts: list[str]) -> list[float]:
    """A local model that scores a text by its length."""
    return [float(len(text)) for text in texts]


async def lengths_later(texts: list[str]) -> list[float]:
    await asyncio.sleep(0)
    return lengths(texts)


def chat_template(prompt: Any, completion: Any) -> str:
    """Stands for a tokenizer's chat template."""
    return f"[user]{prompt}[assistant]{completion}[end]"


def texts_of(request: Request) -> list[str]:
    return list(request.body["input"]) if "input" in request.body else [request.body["messages"][-1]["content"]]


def vllm(request: Request, *, key: str = "probs") -> Response:
    """vLLM with one output a text, its length, in no particular order."""
    items = [{"index": i, key: [float(len(text))]} for i, text in enumerate(texts_of(request))]
    return Response({"object": "list", "model": "rm", "data": items[::-1]})


def pooling(request: Request) -> Response:
    return vllm(request, key="data")


def openrlhf(request: Request) -> Response:
    rewards = [float(len(text)) for text in request.body["query"]]
    return Response({"rewards": rewards, "scores": rewards, "extra_logs": {"dummy_scores": rewards}})


def asking(server: LocalServer, **settings: Any) -> RewardModel:
    return RewardModel(base_url=server.url, **{"retries": 0, **settings})


def outcomes(reward: RewardModel, completions: Sequence[Any], **columns: Any) -> list[Outcome]:
    prompts = {"prompts": [""] * len(completions)}
    return asyncio.run(reward.outcomes_async(Batch.of(completions, prompts | columns)))


def answering(*responses: Response) -> Callable[[Request], Response]:
    return lambda request: responses[min(request.number, len(responses) - 1)]


class TestVllm:
    @pytest.mark.parametrize(("protocol", "respond"), [("classify", vllm), ("pooling", pooling)])
    def test_sends_prompt_and_completion_and_asks_for_the_raw_output(self, protocol: Any, respond: Any) -> None:
        with serve(respond) as server:
            assert asking(server, protocol=protocol)(["bc", ""], prompts=["a", "de"]) == [3.0, 2.0]
        (request,) = server.requests
        assert request.path == f"/{protocol}"
        assert request.body == {"input": ["abc", "de"], "use_activation": False}

    def test_names_the_model_where_one_is_given(self) -> None:
        with serve(vllm) as server:
            asking(server, model="rm")(["a"], prompts=["q"])
        assert server.requests[0].body["model"] == "rm"

    def test_messages_go_as_messages_one_row_a_request(self) -> None:
        prompts = [[{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], "plain"]
        completions = [[{"role": "assistant", "content": "abc"}], "de"]
        with serve(vllm) as server:
            assert asking(server, concurrency=1)(completions, prompts=prompts) == [3.0, 2.0]
        assert [request.body["messages"] for request in server.requests] == [
            [*prompts[0], *completions[0]],
            [{"role": "user", "content": "plain"}, {"role": "assistant", "content": "de"}],
        ]

    def test_of_a_reward_model_per_token_the_last_token_counts(self) -> None:
        data = [{"index": 0, "data": [[1.0], [2.0], [-3.5]]}, {"index": 1, "data": [[7.0]]}]
        with serve(answering(Response({"data": data}))) as server:
            assert asking(server, protocol="pooling")(["a", "b"], prompts=["q", "q"]) == [-3.5, 7.0]

    def test_of_several_outputs_one_must_be_named(self) -> None:
        with serve(answering(Response({"data": [{"index": 0, "probs": [0.5, -1.5]}]}))) as server:
            assert asking(server, class_index=1)(["a"], prompts=["q"]) == [-1.5]
            with pytest.raises(RewardError, match=r"gave 2 outputs in row 0; say which one counts with class_index="):
                asking(server)(["a"], prompts=["q"])
            with pytest.raises(RewardError, match="expected a finite number"):
                asking(server, class_index=2)(["a"], prompts=["q"])

    def test_the_key_is_sent_only_where_it_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")
        with serve(vllm) as server:
            asking(server)(["a"], prompts=["q"])
            asking(server, api_key_env="OPENAI_API_KEY")(["a"], prompts=["q"])
        assert "sk-hidden" not in str(server.requests[0].headers)
        assert server.requests[1].headers["authorization"] == "Bearer sk-hidden"


class TestOpenrlhf:
    def test_posts_query_prompts_and_labels_to_the_address_itself(self) -> None:
        with serve(openrlhf) as server:
            reward = RewardModel(protocol="openrlhf", base_url=f"{server.url}/get_reward", retries=0)
            assert reward(["b", "cd"], prompts=["a", "a"], answer=["1", None]) == [2.0, 3.0]
        (request,) = server.requests
        assert request.path == "/get_reward"
        assert request.body == {"query": ["ab", "acd"], "prompts": ["a", "a"], "labels": ["1", None]}

    def test_without_a_ground_truth_the_labels_are_null(self) -> None:
        with serve(openrlhf) as server:
            asking(server, protocol="openrlhf")(["b"], prompts=["a"])
        assert server.requests[0].body["labels"] == [None]

    def test_a_single_number_for_a_single_text_is_read(self) -> None:
        with serve(answering(Response({"rewards": 0.5}))) as server:
            assert asking(server, protocol="openrlhf")(["b"], prompts=["a"]) == [0.5]

    def test_messages_need_a_template(self) -> None:
        with pytest.raises(ValueError, match=r"messages and protocol 'openrlhf' takes text; pass template="):
            RewardModel(protocol="openrlhf")([[{"role": "assistant", "content": "a"}]], prompts=["q"])


class TestScorer:
    def test_gets_lists_of_texts_and_asks_no_server(self) -> None:
        assert RewardModel(scorer=lengths)(["bc", ""], prompts=["a", "de"]) == [3.0, 2.0]

    def test_may_be_asynchronous(self) -> None:
        assert RewardModel(scorer=lengths_later)(["bc"], prompts=["a"]) == [3.0]

    def test_gets_at_most_a_batch_at_a_time_in_order(self) -> None:
        seen: list[list[str]] = []

        def scorer(texts: list[str]) -> list[float]:
            seen.append(texts)
            return lengths(texts)

        reward = RewardModel(scorer=scorer, batch_size=2, template="{completion}")
        assert reward(["a", "bb", "ccc", "dddd", "eeeee"]) == [1.0, 2.0, 3.0, 4.0, 5.0]
        assert seen == [["a", "bb"], ["ccc", "dddd"], ["eeeee"]]

    def test_does_not_hold_up_the_event_loop(self) -> None:
        gate = threading.Event()

        def scorer(texts: list[str]) -> list[float]:
            assert gate.wait(10)
            return lengths(texts)

        async def main() -> list[float | None]:
            scoring = asyncio.ensure_future(RewardModel(scorer=scorer).aio(completions=["a"], prompts=["b"]))
            await asyncio.sleep(0.01)
            gate.set()  # reached only because the loop goes on while the scorer waits
            return await scoring

        assert asyncio.run(main()) == [2.0]

    def test_its_own_exception_is_not_swallowed(self) -> None:
        def broken(texts: list[str]) -> list[float]:
            raise ZeroDivisionError("in the model")

        with pytest.raises(ZeroDivisionError, match="in the model"):
            RewardModel(scorer=broken)(["a"], prompts=["b"])

    def test_messages_need_a_template(self) -> None:
        with pytest.raises(ValueError, match=r"messages and a scorer reads text; pass template="):
            RewardModel(scorer=lengths)(["a"], prompts=[[{"role": "user", "content": "q"}]])


class TestTemplate:
    def test_text_with_both_values_is_filled_once(self) -> None:
        reward = RewardModel(scorer=lengths, template="{prompt}: {completion}{{x}}")
        hostile = "{prompt}" * 3
        assert reward([hostile], prompts=["q"]) == [len(f"q: {hostile}{{x}}")]

    def test_a_function_gets_both_as_they_came(self) -> None:
        prompt = [{"role": "user", "content": "q"}]
        expected = len(f"[user]{prompt}[assistant]abc[end]")
        assert RewardModel(scorer=lengths, template=chat_template)(["abc"], prompts=[prompt]) == [expected]

    def test_messages_are_turned_into_text_by_a_template_of_text(self) -> None:
        reward = RewardModel(scorer=lengths, template="{prompt}|{completion}")
        messages = [{"role": "assistant", "content": "abc"}]
        assert reward([messages], prompts=[[{"role": "user", "content": "q"}]]) == [len("q|abc")]

    def test_without_prompts_it_says_so_unless_the_template_needs_none(self) -> None:
        with pytest.raises(ColumnError, match="column 'prompts' is missing"):
            RewardModel(scorer=lengths)(["a"])
        assert RewardModel(scorer=lengths, template="<{completion}>")(["a"]) == [3.0]

    def test_a_function_that_gives_no_text_is_refused_by_row(self) -> None:
        with pytest.raises(RewardError, match="template gave None in row 0"):
            RewardModel(scorer=lengths, template=lambda prompt, completion: None)(["a"], prompts=["q"])


class TestValues:
    @given(st.floats(allow_nan=False, allow_infinity=False))
    @settings(deadline=None, max_examples=50)
    def test_the_sigmoid_is_the_formula_and_never_overflows(self, raw: float) -> None:
        reward = RewardModel(scorer=lambda texts: [raw] * len(texts), squash="sigmoid")
        expected = 1 / (1 + math.exp(-raw)) if abs(raw) < 700 else float(raw > 0)
        assert reward(["a"], prompts=["q"]) == [pytest.approx(expected, rel=1e-12, abs=1e-300)]

    def test_says_what_was_read_and_the_raw_score(self) -> None:
        (outcome,) = outcomes(RewardModel(scorer=lengths, squash="sigmoid"), ["ab"])
        assert (outcome.status, outcome.detail, outcome.extracted) == ("scored", "the sigmoid of 2", "ab")

    def test_arrays_and_columns_of_numbers_are_read(self) -> None:
        class Array:
            def tolist(self) -> list[list[float]]:
                return [[1.5], [2.5]]

        assert RewardModel(scorer=lambda texts: Array())(["a", "b"], prompts=["", ""]) == [1.5, 2.5]

    @pytest.mark.parametrize(
        ("given_", "said"),
        [
            ([1.0], "scorer gave 1 scores for 2 texts"),
            ([1.0, 2.0, 3.0], "scorer gave 3 scores for 2 texts"),
            (1.0, "scorer gave 1.0 in place of a list"),
            ("ab", "scorer gave 'ab' in place of a list"),
            ({"a": 1, "b": 2}, "in place of a list"),
            ([1.0, math.nan], "scorer gave nan in row 1; expected a finite number"),
            ([math.inf, 1.0], "scorer gave inf in row 0"),
            ([1.0, None], "scorer gave None in row 1"),
            ([1.0, "2"], "scorer gave '2' in row 1"),
            ([1.0, True], "scorer gave True in row 1"),
            ([1.0, []], "scorer gave None in row 1"),
            ([1.0, 10**400], "in row 1"),
        ],
    )
    def test_other_than_one_finite_number_a_text_is_an_error(self, given_: Any, said: str) -> None:
        with pytest.raises(RewardError, match=f"reward_model: .*{re.escape(said)}"):
            RewardModel(scorer=lambda texts: given_)(["a", "b"], prompts=["", ""])

    @pytest.mark.parametrize(
        "body",
        [
            {},
            [],
            None,
            3,
            "text",
            {"data": 3},
            {"data": [{}]},
            {"data": [{"index": 0}]},
            {"data": [{"index": 0, "probs": None}]},
        ],
    )
    def test_an_answer_of_another_shape_is_an_error_that_names_the_server(self, body: Any) -> None:
        with serve(answering(Response(body))) as server, pytest.raises(RewardError, match=re.escape(server.url)):
            asking(server)(["a"], prompts=["q"])

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "null", "1e999"])
    def test_a_score_that_is_not_finite_is_an_error_that_names_the_server(self, number: str) -> None:
        answer = Response(f'{{"rewards": [{number}]}}')
        with serve(answering(answer)) as server, pytest.raises(RewardError, match=f"{server.url} gave .* in row 0"):
            asking(server, protocol="openrlhf")(["a"], prompts=["q"])

    def test_a_wrong_number_of_scores_from_a_server_is_an_error(self) -> None:
        with (
            serve(answering(Response({"rewards": [1.0]}))) as server,
            pytest.raises(RewardError, match="1 scores for 2"),
        ):
            asking(server, protocol="openrlhf")(["a", "b"], prompts=["q", "q"])


class TestOrderAndConcurrency:
    def test_the_order_is_kept_under_random_delays(self) -> None:
        def late(request: Request) -> Response:
            return Response(vllm(request).body, delay=random.Random(request.number).random() / 20)

        rows = [n * 7 % 23 for n in range(50)]
        with serve(late) as server:
            rewards = asking(server, batch_size=3)(["a" * n for n in rows], prompts=[""] * 50)
        assert rewards == [float(n) for n in rows]

    def test_never_more_requests_under_way_than_allowed(self) -> None:
        def slow(request: Request) -> Response:
            return Response(vllm(request).body, delay=0.01)

        with serve(slow) as server:
            asking(server, batch_size=1, concurrency=2)(["a"] * 9, prompts=[""] * 9)
        assert (len(server.requests), server.peak) == (9, 2)

    def test_can_be_called_inside_a_running_loop(self) -> None:
        async def main() -> list[float | None]:
            return RewardModel(scorer=lengths)(["a"], prompts=["q"])

        assert asyncio.run(main()) == [2.0]

    def test_no_completions_ask_nothing(self) -> None:
        assert reward_model([]) == []


class TestFailures:
    @pytest.mark.parametrize("status", [429, 500])
    def test_a_passing_fault_is_tried_again(self, status: int) -> None:
        fault = Response({}, status=status, headers=NO_PAUSE)
        with serve(answering(fault, Response({"rewards": [2.5]}))) as server:
            assert asking(server, protocol="openrlhf", retries=1)(["a"], prompts=["q"]) == [2.5]

    def test_a_lasting_fault_raises_or_leaves_its_rows_unscored(self) -> None:
        def faulty(request: Request) -> Response:
            return vllm(request) if "good" in texts_of(request) else Response({}, status=500, headers=NO_PAUSE)

        completions, prompts = ["bad", "worse", "good", "well"], [""] * 4
        with serve(faulty) as server:
            with pytest.raises(RewardError, match=r"reward_model, row 0: .* answered 500"):
                asking(server, batch_size=2)(completions, prompts=prompts)
            with pytest.warns(RuntimeWarning, match="2 of 4 requests failed and are not scored"):
                rewards = asking(server, batch_size=2, on_failure="none")(completions, prompts=prompts)
        assert rewards == [None, None, 4.0, 4.0]

    def test_a_refused_text_is_found_among_its_batch_and_not_scored(self) -> None:
        def strict(request: Request) -> Response:
            too_long = max(map(len, texts_of(request))) > 5
            return Response({"error": "too long"}, status=400) if too_long else vllm(request)

        with serve(strict) as server, pytest.warns(RuntimeWarning, match=r"1 of 3 .*too long"):
            assert asking(server)(["a", "b" * 1_000_000, "cc"], prompts=[""] * 3) == [1.0, None, 2.0]

    def test_a_server_that_refuses_everything_is_set_up_wrongly(self) -> None:
        refuse = answering(Response({"error": "unknown field"}, status=422))
        with serve(refuse) as server, pytest.raises(RewardError, match="every request was refused"):
            asking(server)(["a", "b"], prompts=["", ""])

    def test_a_wrong_path_always_raises(self) -> None:
        lost = answering(Response({"detail": "Not Found"}, status=404))
        with serve(lost) as server, pytest.raises(RewardError, match="base_url"):
            asking(server, on_failure="none")(["a"], prompts=[""])

    def test_a_failed_row_says_why(self) -> None:
        with serve(answering(Response("<html>"))) as server, pytest.warns(RuntimeWarning, match="1 of 1"):
            (outcome,) = outcomes(asking(server, on_failure="none"), ["a"])
        assert (outcome.value, outcome.status) == (None, "error")
        assert "what is not JSON" in outcome.detail

    def test_hostile_text_is_sent_as_far_as_utf8_carries_it(self) -> None:
        hostile = "\ud800\x00\u202e</s><|im_end|>"
        with serve(vllm) as server:
            assert asking(server)([hostile], prompts=[""]) == [float(len(hostile))]
        assert server.requests[0].body["input"] == ["?" + hostile[1:]]

    def test_a_message_that_json_does_not_have_is_an_error(self) -> None:
        prompt = [{"role": "user", "content": [{"type": "image", "image": object()}]}]
        with serve(vllm) as server, pytest.raises(TypeError, match="object, which cannot be sent as JSON"):
            asking(server)(["a"], prompts=[prompt])


class TestInAStack:
    def test_adds_up_with_synchronous_rewards_called_or_awaited(self) -> None:
        stack = combine(RewardModel(scorer=lengths), exact_match, weights=[0.1, 1.0])
        call: dict[str, Any] = {"completions": ["4", "60"], "prompts": ["", ""], "answer": ["4", "4"]}
        assert stack(**call) == [0.1 * 1 + 1.0, 0.1 * 2]
        assert asyncio.run(stack.aio(**call)) == [0.1 * 1 + 1.0, 0.1 * 2]

    def test_how_it_asks_is_no_part_of_the_fingerprint(self) -> None:
        same = RewardModel(batch_size=2, concurrency=2, timeout=5.0, retries=0, api_key_env="KEY")
        assert same.fingerprint == reward_model.fingerprint
        assert RewardModel(squash="sigmoid").fingerprint != reward_model.fingerprint


class TestTheReward:
    @pytest.mark.parametrize(
        "reward",
        [
            reward_model,
            RewardModel(protocol="openrlhf", base_url="http://rm:5000/get_reward", squash="sigmoid", name="taste"),
            RewardModel(scorer=lengths, template=chat_template),
        ],
    )
    def test_pickles_compares_and_hashes(self, reward: RewardModel) -> None:
        again = pickle.loads(pickle.dumps(reward))
        assert again == reward
        assert hash(again) == hash(reward)

    def test_prints_as_code(self) -> None:
        assert repr(reward_model) == "RewardModel()"
        assert repr(RewardModel(protocol="pooling", batch_size=4)) == "RewardModel(protocol='pooling', batch_size=4)"
        assert reward_model.__name__ == "reward_model"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"protocol": "tgi"}, "protocol='tgi' is unknown; use classify, pooling, openrlhf"),
            ({"squash": "tanh"}, "squash"),
            ({"on_failure": "zero"}, "on_failure"),
            ({"batch_size": 0}, "batch_size"),
            ({"concurrency": 0}, "concurrency"),
            ({"retries": -1}, "retries"),
            ({"timeout": -1.0}, "timeout"),
            ({"base_url": "rm:5000"}, "must be an address"),
            ({"base_url": "http://u:p@rm"}, "holds a password"),
            ({"api_key_env": "sk-1"}, "name of an environment variable"),
            ({"template": "{prompt}"}, "must contain {completion}"),
            ({"template": "{completion} {x}"}, "not {x}; write {{x}}"),
            ({"scorer": lengths, "base_url": "http://rm"}, "leave out base_url"),
        ],
    )
    def test_a_wrong_argument_is_refused_by_name(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=re.escape(said)):
            RewardModel(**wrong)

    def test_a_scorer_that_is_no_function_is_refused(self) -> None:
        with pytest.raises(TypeError, match="scorer must be a function"):
            RewardModel(scorer="my-model")  # type: ignore[arg-type]


class TestHowAModelMightCheat:
    def test_a_reward_model_that_likes_length_is_paid_in_full_for_padding(self) -> None:
        assert RewardModel(scorer=lengths)(["right", "right" + " very" * 100], prompts=["", ""]) == [5.0, 505.0]

    def test_squashed_it_pays_at_most_one(self) -> None:
        assert RewardModel(scorer=lengths, squash="sigmoid")(["x" * 10_000], prompts=[""]) == [1.0]
