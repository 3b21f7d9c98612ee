"""Models and tokenizers by name, by path or as they are."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from grpo_engine.config import GRPOConfig
from grpo_engine.sampling import Sampling


def load_model(model: Any, config: GRPOConfig, dtype: torch.dtype) -> Any:
    """The policy: a name or path is loaded in `dtype`, a model is taken as it is.

    Raises:
        OSError: the name can neither be found nor reached; it names the local alternative.
    """
    if not isinstance(model, str):
        return model
    try:
        return AutoModelForCausalLM.from_pretrained(model, **{"dtype": dtype, **(config.model_init_kwargs or {})})
    except OSError as error:
        if Path(model).is_dir():
            raise OSError(f"the folder {model!r} can not be loaded: {error}") from error
        raise OSError(
            f"the model {model!r} is no local folder and could not be fetched from the hub; "
            "give the path of a folder in transformers format, or check the name and the network"
        ) from error


def load_tokenizer(tokenizer: Any, model: Any) -> Any:
    """The tokenizer given, else the one saved with the model; one without a pad token pads with its end token."""
    if tokenizer is None and not model.config.name_or_path:
        raise ValueError("give processing_class: the model has no name to find a tokenizer by")
    if tokenizer is None:
        tokenizer = AutoTokenizer.from_pretrained(model.config.name_or_path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def sampling_of(config: GRPOConfig, model: Any, tokenizer: Any) -> Sampling:
    """The sampling distribution; a completion ends at the tokenizer's and at the model's own end tokens."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, (list, tuple)) else [ends]
    eos_ids = tuple(dict.fromkeys(e for e in (tokenizer.eos_token_id, *ends) if e is not None))
    if not eos_ids:
        raise ValueError("neither the tokenizer nor the model's generation_config names an end token (eos)")
    rows = model.get_output_embeddings().weight.shape[0]
    return Sampling(
        vocab_size=min(len(tokenizer), rows),
        eos_ids=eos_ids,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        min_p=config.min_p,
    )


def _processor() -> str:
    """The processor's name; Linux keeps it in a file that the standard library does not read."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment(device: torch.device, processes: int) -> dict[str, Any]:
    """Where a run runs: versions and hardware, for its log."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": f"{device.type} ({name})",
        "processes": processes,
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
    }
