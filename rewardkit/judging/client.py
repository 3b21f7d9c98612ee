"""Requests to a server that answers in JSON: retried, bounded in time and in number, their failures named.

The client is that of the ``openai`` package (the extra ``judge``), which is loaded when first needed. It retries
refused connections, time-outs and the statuses 408, 409, 429 and 5xx, and obeys ``Retry-After``.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from rewardkit.contract import RewardError

OnFailure = Literal["raise", "none"]

OPERATION = {"behaviour": False}
"""Metadata of a setting that says how a server is asked, not what a reward gives; no part of a fingerprint."""

NO_KEY = "none"  # what a server that asks for no key is sent; the client refuses to send nothing
LONGEST_PAUSE = 8.0  # seconds that the client waits at most before it tries again, unless the server says more

_REFUSED = (400, 413, 422)  # the request was read and not taken: too long, filtered, malformed
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class RequestError(RewardError):
    """A request that brought no usable answer, all retries done."""


class RefusedError(RequestError):
    """The server read the request and will not take it (400, 413, 422)."""


class SettingsError(RequestError):
    """The server says that address, key or model are wrong (401, 403, 404 and other 4xx)."""


def open_client(base_url: str, key: str | None, *, timeout: float, retries: int) -> Any:
    """An asynchronous client, to be used as a context manager within one event loop.

    Raises:
        ImportError: the ``openai`` package is not installed.
    """
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise ImportError('requests to a server need the extra "judge": pip install "rewardkit[judge]"') from error
    return AsyncOpenAI(base_url=base_url, api_key=key or NO_KEY, timeout=timeout, max_retries=retries)


async def send(client: Any, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """The JSON answer to a POST of `body`, or to a GET without one.

    Attributes of the client bound it: a request with all its retries and pauses ends after
    ``(retries + 1) * timeout + retries * LONGEST_PAUSE`` seconds, whatever the server does.

    Raises:
        RefusedError, SettingsError, RequestError: no answer, or none that is JSON.
    """
    import asyncio

    import openai

    request = client.get(path, cast_to=str) if body is None else client.post(path, cast_to=str, body=clean(body))
    budget = (client.max_retries + 1) * client.timeout + client.max_retries * LONGEST_PAUSE
    try:
        text = await asyncio.wait_for(request, budget)
    except openai.APIStatusError as error:
        raise _status_error(client, path, error.status_code, error.response.text) from error
    except openai.APITimeoutError as error:
        raise RequestError(f"{_where(client, path)} gave no answer within {client.timeout:g} s") from error
    except asyncio.TimeoutError as error:
        raise RequestError(f"{_where(client, path)} was not done within {budget:g} s") from error
    except openai.APIError as error:
        reason = repr(error.__cause__ or error)
        raise RequestError(f"{_where(client, path)} failed: {_cut(reason)}; is the server running?") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{_where(client, path)} answered with what is not JSON: {_cut(text)!r}") from error


def _status_error(client: Any, path: str, status: int, text: str) -> RequestError:
    key = client.api_key
    said = _cut(text if key == NO_KEY else text.replace(key, "***"))  # some servers repeat a key they do not know
    message = f"{_where(client, path)} answered {status}: {said!r}"
    if status in _REFUSED:
        return RefusedError(message)
    if status in (401, 403):
        return SettingsError(f"{message}; api_key_env names the environment variable that holds the key")
    if 400 <= status < 500 and status not in (408, 409, 429):
        return SettingsError(f"{message}; check base_url and model")
    return RequestError(f"{message} (after {client.max_retries} retries)")


def _where(client: Any, path: str) -> str:
    return path if "://" in path else str(client.base_url).rstrip("/") + "/" + path.lstrip("/")


def _cut(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def clean(value: Any) -> Any:
    """The same JSON value with every character that UTF-8 cannot carry (half a surrogate pair) as ``?``.

    Raises:
        TypeError: something that JSON does not have, such as an image in a message.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    raise TypeError(f"a request holds {type(value).__name__}, which cannot be sent as JSON; turn it into text")


def tolerate(error: RequestError, where: str, on_failure: OnFailure) -> RequestError:
    """The error, to be kept as the answer of its rows; or raised, where it is not theirs.

    A wrong setting always is raised. A refusal may be the fault of one completion (too long, filtered), which
    must not end a run, so it is kept; :func:`settle` raises it where nothing but refusals came back.
    """
    if isinstance(error, SettingsError) or (on_failure == "raise" and not isinstance(error, RefusedError)):
        raise RewardError(f"{where}: {error}") from error
    return error


def settle(name: str, answers: Sequence[object], on_failure: OnFailure) -> None:
    """Say once what went wrong with a batch.

    Raises:
        RewardError: every request was refused, so that the settings are at fault, not the completions.
    """
    errors = [answer for answer in answers if isinstance(answer, RequestError)]
    if not errors:
        return
    if on_failure == "raise" and len(errors) == len(answers):
        raise RewardError(f"{name}: every request was refused; {errors[0]}") from errors[0]
    count = f"{len(errors)} of {len(answers)} requests failed"
    warnings.warn(f"{name}: {count} and are not scored; the first: {errors[0]}", RuntimeWarning, stacklevel=3)


def environment_key(variable: str | None) -> str | None:
    """The key in an environment variable.

    Raises:
        RewardError: the variable is not set.
    """
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise RewardError(f"the environment variable {variable} is not set; api_key_env says that it holds the key")
    return os.environ[variable]


def check_endpoint(base_url: str | None, api_key_env: str | None) -> None:
    """Refuse an address that is none or holds a secret, and a key in place of the name of its variable.

    Raises:
        ValueError: as said; the message does not repeat the secret.
    """
    if base_url is not None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url must be an address such as http://localhost:8000/v1, got {base_url!r}")
        if "@" in parts.netloc:
            raise ValueError("base_url holds a password; name the environment variable of the key with api_key_env=")
    if api_key_env is not None and not _VARIABLE.fullmatch(api_key_env):
        raise ValueError(
            "api_key_env must be the name of an environment variable in capitals, such as 'OPENAI_API_KEY'; "
            "the key itself is never given"
        )


def check_limits(**limits: float) -> None:
    """Refuse counts that are no whole number or too small, and times that are not positive.

    Raises:
        ValueError: as said. ``retries`` may be 0, ``timeout`` a fraction.
    """
    for name, value in limits.items():
        least = 0 if name == "retries" else 1
        if name == "timeout":
            if not 0 < value < float("inf"):
                raise ValueError(f"timeout must be a positive number of seconds, got {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
