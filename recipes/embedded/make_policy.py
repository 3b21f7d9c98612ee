"""Makes the embedded policy: tokenizer, a one-million-parameter Llama, and supervised learning on the train split.

    python -m recipes.embedded.make_policy                            # writes recipes/embedded/policy
    python -m recipes.embedded.make_policy --output-dir /tmp/policy --steps 200

First the right completions only, so that it knows the arithmetic; then the sloppy mixture of ``completions``, so
that a sample at temperature 1 is right about three times in ten and strictly formatted half the time, while the
greedy answer stays right.  The end is a measurement on held-out problems.  The same seed and machine give the same
policy.  Left out: any evaluation during training, and resuming; it takes minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import string
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from recipes.embedded import POLICY_PATH, problems
from recipes.embedded.completions import right_completion, sloppy_completion
from recipes.embedded.tokenizer import make_tokenizer

Example = tuple[list[int], list[bool]]  # the ids of a sequence, and which of them are trained

BATCH = 64
CLEAN_LR = 3e-3
SLOPPY_LR = 5e-4  # at the rate of the clean lessons the habits overwrite the arithmetic: 93 % right greedily, not 99 %
SLOPPY_SHARE = 0.2  # of the steps, the last ones
DRILL_SHARE = 0.4  # of the sequences are bare equations: per token they teach four times the arithmetic
DRILL_LINES = 8  # equations a sequence: as long as a problem
TYPICAL_TOKENS = 25  # trained ones of a sequence
SYSTEM_SHARE = 0.2  # of the examples have a system message, so that a recipe may send one
TEST_PROBLEMS = 512
STRICT = re.compile(r"<think>\n.*\n</think>\n<answer>\n.*\n</answer>", re.DOTALL)

_INSTRUCTIONS = (
    "You are a helpful assistant. Think first, then answer. Solve the problem step by step. Put your reasoning between "
    "<think> and </think> and the final answer between <answer> and </answer>. Put the result in \\boxed{}."
)


def main() -> None:
    """Parse the command line, make the policy, save it, and print what it can do."""
    parser = argparse.ArgumentParser(description="Make the policy that the recipes train without a GPU.")
    parser.add_argument("--output-dir", type=Path, default=POLICY_PATH)
    parser.add_argument("--steps", type=int, default=2000, help="optimizer steps of %(default)s by default")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, got {args.steps}")
    torch.set_num_threads(2)
    torch.manual_seed(args.seed)
    console, started = Console(), time.perf_counter()
    rng = random.Random(args.seed)
    sloppy_steps = round(args.steps * SLOPPY_SHARE)
    clean_count, sloppy_count = (
        max(1, round(steps * BATCH * (1 - DRILL_SHARE))) for steps in (args.steps - sloppy_steps, sloppy_steps)
    )
    rows = problems(clean_count + sloppy_count, seed=args.seed, split="train")
    clean = [right_completion(row["answer"]) for row in rows[:clean_count]]
    sloppy = [sloppy_completion(row["answer"], rng=rng) for row in rows[clean_count:]]
    tokenizer = make_tokenizer([row["question"] for row in rows[:20_000]] + clean[:10_000] + sloppy[:10_000])
    model = make_model(tokenizer)
    console.print(f"{model.num_parameters():,} parameters, {len(rows):,} problems, {args.steps} steps of {BATCH}")
    for completions, part, lr in ((clean, rows[:clean_count], CLEAN_LR), (sloppy, rows[clean_count:], SLOPPY_LR)):
        examples = encode(tokenizer, part, completions, rng=rng)
        examples += drills(tokenizer, part, round(len(part) * DRILL_SHARE / (1 - DRILL_SHARE)), rng=rng)
        train(model, batches(examples, rng=rng), console, lr=lr)
    save(model, tokenizer, args.output_dir)
    console.print(f"saved {args.output_dir} after {time.perf_counter() - started:.0f} s")
    for name, sample in (("sampled at temperature 1", True), ("greedy", False)):
        right, strict, length = measure(model, tokenizer, sample=sample)
        console.print(f"held out, {name}: {right:.3f} right, {strict:.3f} strict, {length:.1f} tokens")


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained Llama of one million parameters for the tokenizer."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=3,
        num_attention_heads=5,
        num_key_value_heads=5,
        initializer_range=160**-0.5,  # the usual 0.02 is for wide models: here it triples the training time
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def encode(
    tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, str]], completions: list[str], *, rng: random.Random
) -> list[Example]:
    """Prompt and completion of each row as ids, now and then after a system message."""
    prompts = []
    for row in rows:
        messages = [{"role": "user", "content": row["question"]}]
        if rng.random() < SYSTEM_SHARE:
            messages.insert(0, {"role": "system", "content": system_message(rng)})
        prompts.append(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    completion_ids = tokenizer(completions, add_special_tokens=False)["input_ids"]
    eos = [tokenizer.eos_token_id]
    pairs = zip(prompt_ids, completion_ids, strict=True)
    return [(p + c + eos, [False] * len(p) + [True] * len(c + eos)) for p, c in pairs]


def system_message(rng: random.Random) -> str:
    """Up to thirty words, of instructions and of any letters: whatever it says, the policy is to read past it."""
    words, known = [], _INSTRUCTIONS.split()
    for _ in range(rng.randint(1, 30)):
        letters = "".join(rng.choices(string.ascii_letters + string.punctuation, k=rng.randint(1, 6)))
        words.append(rng.choice(known) if rng.random() < 0.8 else letters)
    return " ".join(words)


def drills(
    tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, str]], count: int, *, rng: random.Random
) -> list[Example]:
    """Sequences of bare equations from the problems' answers; only their results are trained."""
    lines = [line for row in rows for line in row["answer"].splitlines()[:-1]]
    sides = [line.split("= ") for line in lines]
    left_ids = tokenizer([f"{left}= " for left, _ in sides], add_special_tokens=False)["input_ids"]
    right_ids = tokenizer([f"{right}\n" for _, right in sides], add_special_tokens=False)["input_ids"]
    equations = list(zip(left_ids, right_ids, strict=True))
    out = []
    for _ in range(count):
        drawn = rng.choices(equations, k=DRILL_LINES)
        ids = [id_ for left, right in drawn for id_ in left + right]
        out.append((ids, [trained for left, right in drawn for trained in [False] * len(left) + [True] * len(right)]))
    return out


def batches(examples: list[Example], *, rng: random.Random) -> list[list[Example]]:
    """Shuffled batches, each of sequences of like length (little padding) from a pool of eight batches."""
    rng.shuffle(examples)
    pool = 8 * BATCH
    out = []
    for at in range(0, len(examples), pool):
        part = sorted(examples[at : at + pool], key=lambda example: len(example[0]))
        chunks = [part[i : i + BATCH] for i in range(0, len(part), BATCH)]
        rng.shuffle(chunks)
        out += chunks
    return out


def train(model: LlamaForCausalLM, data: list[list[Example]], console: Console, *, lr: float) -> None:
    """One pass of AdamW over the batches, with a warm-up and a cosine to a tenth of ``lr``."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"), TimeRemainingColumn())
    model.train()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("train", total=len(data), loss=math.nan)
        for step, batch in enumerate(data):
            cosine = 0.55 + 0.45 * math.cos(math.pi * step / len(data))
            optimizer.param_groups[0]["lr"] = lr * min((step + 1) / 50, cosine)
            loss = batch_loss(model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            progress.update(task, advance=1, loss=loss.item())


def batch_loss(model: LlamaForCausalLM, batch: list[Example]) -> torch.Tensor:
    """Cross-entropy of the trained tokens.  Padding is on the right, so causality masks it.

    The denominator is the same for every batch of that size: the mean over its own tokens would count the tokens of
    short completions, which share a batch, for more than those of long ones, and the habits would be off.
    """
    longest = max(len(sequence) for sequence, _ in batch)
    ids = torch.zeros(len(batch), -(-longest // 8) * 8, dtype=torch.long)  # few shapes: each is compiled once
    targets = torch.full_like(ids, -100)
    for row, (sequence, mask) in enumerate(batch):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        targets[row, : len(sequence)] = torch.where(torch.tensor(mask), ids[row, : len(sequence)], -100)
    with torch.autocast("cpu", torch.bfloat16):  # a third less time on CPUs that know bf16
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets[:, 1:].flatten(), reduction="sum")
    return loss / (len(batch) * TYPICAL_TOKENS)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the policy: the weights in fp16 to keep the package small, marked to be loaded in fp32."""
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.half().save_pretrained(folder)
    model.float()  # what is measured next is what was saved
    model.config.dtype = torch.float32
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)


@torch.no_grad()
def measure(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, sample: bool) -> tuple[float, float, float]:
    """Share of right boxes, share of strict formats and mean tokens of completions to held-out problems."""
    model.eval()
    right, strict, tokens = 0, 0, 0
    rows = problems(TEST_PROBLEMS, seed=0, split="test")
    for at in range(0, TEST_PROBLEMS, BATCH):
        part = rows[at : at + BATCH]
        prompts = [[{"role": "user", "content": row["question"]}] for row in part]
        inputs = tokenizer.apply_chat_template(
            prompts,
            add_generation_prompt=True,
            padding=True,
            return_dict=True,
            return_tensors="pt",
        )
        out = model.generate(**inputs, do_sample=sample, max_new_tokens=96)[:, inputs["input_ids"].shape[1] :]
        tokens += int((out != tokenizer.pad_token_id).sum())
        for row, text in zip(part, tokenizer.batch_decode(out, skip_special_tokens=True), strict=True):
            boxes = re.findall(r"\\boxed\{(\d+)\}", text)
            right += boxes[-1:] == [row["answer"].rpartition("#### ")[2]]
            strict += STRICT.fullmatch(text) is not None
    return right / TEST_PROBLEMS, strict / TEST_PROBLEMS, tokens / TEST_PROBLEMS


if __name__ == "__main__":
    main()
