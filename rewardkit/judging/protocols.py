"""How the servers of reward models are asked, and how their answers are read: vLLM's and OpenRLHF's protocol.

vLLM (``/classify`` and ``/pooling``, versions from 0.22): ``{"input": [text, ...]}`` or one conversation as
``{"messages": [...]}``; ``use_activation`` false gives the raw outputs, which else went through a sigmoid (one
output) or a softmax. Answered by ``{"data": [{"index": 0, "probs": [...]}, ...]}``, with ``data`` in place of
``probs`` under ``/pooling``. OpenRLHF (its ``remote_rm_url``, version 0.11): ``{"query": [...], "prompts": [...],
"labels": [...]}``, where a query is prompt and completion; answered by ``{"rewards": [...]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

ProtocolName = Literal["classify", "pooling", "openrlhf"]


class Row(NamedTuple):
    """A completion as the model is to read it: one text, or messages for the server's chat template."""

    row: int
    text: str
    messages: list[Mapping[str, Any]] | None
    prompt: str
    label: str | None


class Protocol(NamedTuple):
    """One kind of server.

    Attributes:
        address: where it listens unless told otherwise.
        path: what is added to the address.
        chat: whether it renders messages itself.
        request: the rows of one request as its body.
        scores: the outputs in an answer, one entry per row; fails where the answer has another shape.
    """

    address: str
    path: str
    chat: bool
    request: Callable[[Sequence[Row]], dict[str, Any]]
    scores: Callable[[Any], list[Any]]


def _vllm_request(rows: Sequence[Row]) -> dict[str, Any]:
    if rows[0].messages is not None:
        return {"messages": rows[0].messages, "use_activation": False}
    return {"input": [row.text for row in rows], "use_activation": False}


def _openrlhf_request(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "query": [row.text for row in rows],
        "prompts": [row.prompt for row in rows],
        "labels": [row.label for row in rows],
    }


def _classify_scores(answer: Any) -> list[Any]:
    return [item["probs"] for item in _in_order(answer)]


def _pooling_scores(answer: Any) -> list[Any]:
    """Of each text its outputs, or those of its last token where there is a list for every token."""
    outputs = [item["data"] for item in _in_order(answer)]
    return [data[-1] if isinstance(data, list) and data and isinstance(data[-1], list) else data for data in outputs]


def _in_order(answer: Any) -> list[Any]:
    return sorted(answer["data"], key=lambda item: item["index"])


def _openrlhf_scores(answer: Any) -> list[Any]:
    rewards = answer["rewards"]
    return rewards if isinstance(rewards, list) else [rewards]  # a server may give the number alone for one text


PROTOCOLS: Mapping[str, Protocol] = {
    "classify": Protocol("http://localhost:8000", "/classify", True, _vllm_request, _classify_scores),
    "pooling": Protocol("http://localhost:8000", "/pooling", True, _vllm_request, _pooling_scores),
    "openrlhf": Protocol("http://localhost:5000/get_reward", "", False, _openrlhf_request, _openrlhf_scores),
}
