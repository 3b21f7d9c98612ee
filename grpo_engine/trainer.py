"""The trainer: prompts, rollouts, rewards, advantages, update."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor
from transformers import TrainerState, get_scheduler

from grpo_engine import checkpoint
from grpo_engine.advantages import SCALES, advantages, total_rewards
from grpo_engine.batching import micro_batches
from grpo_engine.collect import Collected, Collector
from grpo_engine.config import GRPOConfig
from grpo_engine.data import GroupSampler, PromptData
from grpo_engine.display import Display
from grpo_engine.interrupt import FinishStepOnInterrupt
from grpo_engine.loading import environment, load_model, load_tokenizer, sampling_of
from grpo_engine.logprobs import TokenScorer
from grpo_engine.metrics import Phases, RunLog
from grpo_engine.objective import TOKEN_WEIGHTS
from grpo_engine.optim import MasterAdamW
from grpo_engine.report import write_report
from grpo_engine.reward_model import RewardModel
from grpo_engine.rollout import Rollouts
from grpo_engine.scoring import RewardSet
from grpo_engine.summary import Metrics, completion_rows, length_metrics, reward_metrics, sample
from grpo_engine.update import Objective, Totals, Update

_EVAL_SEED = 1_000_003  # keeps the draws of evaluation apart from those of training
_SAMPLER_ALARM = 0.05  # mean |log-prob difference| per token; below 0.02 is healthy, also in bf16
_SAMPLED_ROWS = 16  # completions written per log entry unless log_completions asks for all


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C, after the step was finished and a checkpoint was saved; the message says how to resume."""


class GRPOTrainer:
    """Group Relative Policy Optimization (DeepSeekMath, arXiv 2402.03300).

    Args:
        model: a hub name, a path, or a transformers causal language model.
        reward_funcs: one or several of: a callable of the contract, a reward model, its name or path.
        args: settings; the defaults of :class:`GRPOConfig` unless given.
        train_dataset: rows by index with a column `prompt` (text or messages); every other column is handed
            to the rewards.
        eval_dataset: the same, for evaluation.
        processing_class: the tokenizer; the one saved with the model unless given.
        reward_processing_classes: tokenizers of the reward models, one per reward function (None elsewhere).

    Raises:
        ValueError, TypeError: a setting, a data set or a reward that can not work, before anything is loaded.
    """

    def __init__(
        self,
        model: Any,
        reward_funcs: Any,
        args: GRPOConfig | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        reward_processing_classes: Any = None,
    ) -> None:
        if train_dataset is None:
            raise ValueError("train_dataset is missing; it needs a column 'prompt'")
        self.args = args or GRPOConfig()
        self.accelerator = Accelerator(cpu=self.args.use_cpu, log_with=_trackers(self.args.report_to))
        self._prompts_per_step = self.args.prompts_per_step(self.accelerator.num_processes)
        set_seed(self.args.seed)
        self.rewards = self._reward_set(reward_funcs, reward_processing_classes)
        self.model = load_model(model, self.args, torch.bfloat16 if self._bf16 else torch.float32)
        self.processing_class = load_tokenizer(processing_class, self.model)
        self._train = self._prompts(train_dataset)
        self._eval = None if eval_dataset is None else self._prompts(eval_dataset)
        self.state = TrainerState()
        self._rollouts_done = 0
        self._build()

    @property
    def _bf16(self) -> bool:
        if self.args.bf16 is None:
            return bool(self.accelerator.device.type == "cuda" and torch.cuda.is_bf16_supported())
        return self.args.bf16

    def _reward_set(self, functions: Any, tokenizers: Any) -> RewardSet:
        functions = list(functions) if isinstance(functions, (list, tuple)) else [functions]
        tokenizers = tokenizers if isinstance(tokenizers, (list, tuple)) else [tokenizers] * len(functions)
        if len(tokenizers) != len(functions):
            raise ValueError(f"{len(tokenizers)} reward_processing_classes for {len(functions)} reward functions")
        ready = [
            RewardModel(f, t, device=self.accelerator.device) if isinstance(f, (str, torch.nn.Module)) else f
            for f, t in zip(functions, tokenizers, strict=True)
        ]
        return RewardSet(ready, self.args.reward_weights)

    def _prompts(self, dataset: Any) -> PromptData:
        return PromptData(
            dataset,
            self.processing_class,
            chat_template_kwargs=self.args.chat_template_kwargs,
            max_prompt_length=self.args.max_prompt_length,
        )

    def _build(self) -> None:
        args, device = self.args, self.accelerator.device
        self.model.to(device)
        self.sampling = sampling_of(args, self.model, self.processing_class)
        if args.disable_dropout:
            for module in self.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        self._reference = None
        if args.beta:
            reference = copy.deepcopy(self.model).eval().requires_grad_(False)
            self._reference = TokenScorer(reference, self.sampling)
        if args.gradient_checkpointing:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.optimizer = MasterAdamW(
            self.model.parameters(),
            lr=args.learning_rate,
            betas=(args.adam_beta1, args.adam_beta2),
            eps=args.adam_epsilon,
            weight_decay=args.weight_decay,
            half=torch.bfloat16 if self._bf16 else None,
        )
        self._total_steps = args.total_steps(len(self._train), self.accelerator.num_processes)
        self.lr_scheduler = get_scheduler(
            args.lr_scheduler_type,
            self.optimizer.inner,
            num_warmup_steps=args.warmup(self._total_steps),
            num_training_steps=self._total_steps,
            scheduler_specific_kwargs=args.lr_scheduler_kwargs,
        )
        self._scorer = self.accelerator.prepare_model(TokenScorer(self.model, self.sampling))
        self._collector = Collector(
            self.model,
            self.processing_class,
            sampling=self.sampling,
            rewards=self.rewards,
            max_length=args.max_completion_length,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        self._sampler = GroupSampler(
            len(self._train), self._prompts_per_step, seed=args.seed, shuffle=args.shuffle_dataset
        )
        self._objective = Objective(
            epsilon_low=args.epsilon,
            epsilon_high=args.epsilon if args.epsilon_high is None else args.epsilon_high,
            beta=args.beta,
            token_weights=TOKEN_WEIGHTS[args.loss_type],
            max_length=args.max_completion_length,
        )

    def train(self, resume_from_checkpoint: bool | str | Path | None = None) -> TrainerState:
        """Train to the end of the run, then write ``report.html`` and ``report.png``.

        Args:
            resume_from_checkpoint: True for the newest checkpoint in the output directory, or a path.

        Returns:
            The trainer's state, with `log_history`.

        Raises:
            TrainingInterrupted: Ctrl-C; a checkpoint was saved first.
            RewardFailure: a reward function raised or returned what the contract does not allow.
        """
        folder = Path(self.args.output_dir)
        if resume_from_checkpoint:
            self._load(checkpoint.latest(folder) if resume_from_checkpoint is True else Path(resume_from_checkpoint))
        self.state.max_steps = self._total_steps
        main = self.accelerator.is_main_process
        self.state.is_world_process_zero = main
        resume_step = self.state.global_step if resume_from_checkpoint else None
        self._log = RunLog(folder, writes=main, resume_step=resume_step)
        if main:
            self.args.save(folder, environment(self.accelerator.device, self.accelerator.num_processes))
        self._start_trackers()
        title = self.args.run_name or self.model.config.name_or_path or type(self.model).__name__
        visible = main and not self.args.disable_tqdm
        with Display(total_steps=self._total_steps, title=title, enabled=visible) as self._display:
            self._phases = Phases(self._display.phase)
            try:
                with FinishStepOnInterrupt(self._display.message) as interrupt:
                    self._run(interrupt)
            finally:
                if main and self.state.log_history:
                    write_report(folder)
        if self.accelerator.log_with:
            self.accelerator.end_training()
        return self.state

    def _run(self, interrupt: FinishStepOnInterrupt) -> None:
        args, state = self.args, self.state
        if self._train.left_out:
            self._display.message(
                f"{self._train.left_out} prompts have more than {args.max_prompt_length} tokens and were left out"
            )
        if args.eval_on_start and state.global_step == 0:
            self.evaluate()
        while state.global_step < self._total_steps:
            before = state.global_step
            self._step()
            stop = self._on_any_process(interrupt.asked)
            done = state.global_step >= self._total_steps
            due = before // args.save_steps != state.global_step // args.save_steps
            if stop or (args.save_strategy == "steps" and (due or done)):
                self._save_checkpoint()
            if stop and not done:
                raise TrainingInterrupted(
                    f"stopped after step {state.global_step} of {self._total_steps} and saved "
                    f"{self._checkpoint_folder()}; train(resume_from_checkpoint=True) goes on from there"
                )

    def _step(self) -> None:
        """One batch of rollouts, and the optimizer steps on it."""
        indices = self._sampler.indices(self._rollouts_done)
        group = self.args.num_generations
        with self._phases("rollout"):
            seed = self.args.seed + self._rollouts_done
            rollouts = self._collector.rollouts(self._train, indices, group=group, seed=seed)
        with self._phases("reward"):
            collected = self._collector.score(self._train, indices, rollouts, self.state)
            components = self._gather(collected.scores.values.T).T.reshape(len(self.rewards.names), -1, group)
            rewards = total_rewards(components, self.rewards.weights.to(components.dtype))
            advantage = advantages(rewards, SCALES[str(self.args.scale_rewards)])
        metrics = {
            **reward_metrics(self.rewards.names, components, rewards),
            **self._length_metrics(rollouts),
            **self._mean_over_processes(collected.scores.metrics),
        }
        update = self._update_on(rollouts, advantage)
        self._rollouts_done += 1
        for _ in range(min(self.args.num_iterations, self._total_steps - self.state.global_step)):
            with self._phases("train"):
                step_metrics = update.epoch(self._objective, self.optimizer, self.accelerator, self.args.max_grad_norm)
            self._after_update({**metrics, **step_metrics}, collected, rewards, advantage)

    def _update_on(self, rollouts: Rollouts, advantage: Tensor) -> Update:
        """The update on this process's part of the batch, its denominators fixed over all processes."""
        device = self.accelerator.device
        trained = torch.ones_like(rollouts.finished)
        if self.args.mask_truncated_completions:
            trained = rollouts.finished
        lengths = torch.tensor([len(c) for c in rollouts.completion_ids])
        tokens = self.accelerator.reduce((lengths * trained).sum().to(device), "sum")
        micros = micro_batches(
            rollouts,
            self.args.per_device_train_batch_size,
            group=self.args.num_generations,
            pad_id=self.processing_class.pad_token_id,
        )
        self.model.train()
        return Update(
            self._scorer,
            self._reference,
            micros=list(micros),
            advantages=self._mine(advantage).to(device),
            trained=trained.to(device),
            totals=Totals(completions=advantage.numel(), tokens=int(tokens)),
        )

    def _after_update(self, metrics: Metrics, collected: Collected, rewards: Tensor, advantage: Tensor) -> None:
        args, state = self.args, self.state
        metrics["learning_rate"] = self.lr_scheduler.get_last_lr()[0]
        self.lr_scheduler.step()
        state.global_step += 1
        state.epoch = self._rollouts_done * self._prompts_per_step / len(self._train)
        metrics |= {"epoch": state.epoch, **self._phases.finish()}
        tokens = (metrics["completions/mean_length"] or 0.0) * rewards.numel()
        metrics["tokens_per_second"] = tokens / (metrics["step_time"] or 1.0)
        self._log.add(metrics)
        self._warn(metrics)
        totals = self._mine(rewards).tolist()
        rows = completion_rows(collected, self.rewards.names, totals, step=state.global_step, split="train")
        for row, value in zip(rows, self._mine(advantage).tolist(), strict=True):
            row["advantage"] = value
        self._display.update(state.global_step, metrics, sample(rows, state.global_step))
        if state.global_step % args.logging_steps == 0 or state.global_step == self._total_steps:
            self._record(self._log.flush(state.global_step))
            self._log.completions(rows if args.log_completions else rows[:_SAMPLED_ROWS])
        if args.eval_strategy == "steps" and state.global_step % (args.eval_steps or 1) == 0:
            self.evaluate()

    def _warn(self, metrics: Metrics) -> None:
        """Say what is wrong with a step, and what to try."""
        difference = metrics.get("sampling/sampling_logp_difference/mean") or 0.0
        if difference > _SAMPLER_ALARM:
            self._display.message(
                f"step {self.state.global_step}: sampler and trainer differ by {difference:.3f} per token on average "
                f"(alarm at {_SAMPLER_ALARM}); the model scores other tokens than it samples"
            )
        if metrics["reward"] is None:
            self._display.message(
                f"step {self.state.global_step}: no completion was scored by any reward (all None); "
                "nothing was learned from it"
            )

    def evaluate(self) -> Metrics:
        """Sample completions for every row of the evaluation set and score them.

        Every evaluation draws with the same chance, so two of them differ by the policy alone.

        Returns:
            `eval_reward`, `eval_rewards/{name}/mean`, `eval_completions/mean_length`; also logged.

        Raises:
            ValueError: the trainer has no eval_dataset.
        """
        if self._eval is None:
            raise ValueError("evaluate() needs an eval_dataset")
        args, world = self.args, self.accelerator.num_processes
        group = args.num_generations_eval or args.num_generations
        collected = self._collector.over(
            self._eval,
            prompts_at_once=max(1, args.per_device_eval_batch_size // group) * world,
            group=group,
            seed=args.seed + _EVAL_SEED,
            state=self.state,
            done=self._show_evaluation,
        )
        metrics, rows = self._evaluation(collected)
        if hasattr(self, "_log"):
            self._log.write(self.state.global_step, metrics)
            self._log.completions(rows[:_SAMPLED_ROWS])
        self._record(metrics)
        return metrics

    def _evaluation(self, collected: list[Collected]) -> tuple[Metrics, list[dict[str, Any]]]:
        """Means over all processes, whose parts may differ in size, and this process's completions."""
        names = [*self.rewards.names, "reward"]
        sums = torch.zeros(2, len(names) + 1, dtype=torch.float64)  # sums and counts; the last is the length
        rows = []
        for part in collected:
            components = part.scores.values[:, None]  # (K, 1, B)
            total = total_rewards(components, self.rewards.weights.to(components.dtype))[0]
            values = torch.cat([components[:, 0], total[None]])
            sums[0, :-1] += values.nansum(1)
            sums[1, :-1] += (~values.isnan()).sum(1)
            lengths = [len(c) for c in part.rollouts.completion_ids]
            sums[:, -1] += torch.tensor([sum(lengths), len(lengths)])
            rows += completion_rows(part, self.rewards.names, total.tolist(), step=self.state.global_step, split="eval")
        sums = self.accelerator.reduce(sums.to(self.accelerator.device), "sum").cpu()
        means = [s / n if n else None for s, n in sums.T.tolist()]
        metrics: Metrics = {"eval_reward": means[-2], "eval_completions/mean_length": means[-1]}
        metrics |= {f"eval_rewards/{name}/mean": m for name, m in zip(self.rewards.names, means, strict=False)}
        return metrics, rows

    def _show_evaluation(self, done: int) -> None:
        if hasattr(self, "_display") and self._eval is not None:
            self._display.phase(f"evaluate {done}/{len(self._eval)}")

    # Values of all processes.

    def _gather(self, values: Tensor) -> Tensor:
        """(n, ...) of each process, in the order of the processes, on the CPU."""
        gathered: Tensor = self.accelerator.gather(values.contiguous().to(self.accelerator.device))
        return gathered.cpu()

    def _mine(self, values: Tensor) -> Tensor:
        """This process's completions, flat, of a (P, G) tensor that all processes have."""
        rows = self._collector.share(range(len(values)))
        return values[rows[0] : rows[-1] + 1].flatten()

    def _on_any_process(self, flag: bool) -> bool:
        return bool(self._gather(torch.tensor([flag])).any())

    def _mean_over_processes(self, metrics: dict[str, float]) -> Metrics:
        values = torch.tensor([metrics[name] for name in sorted(metrics)], dtype=torch.float64)
        means = self._gather(values[None]).mean(0) if metrics else values
        return dict(zip(sorted(metrics), means.tolist(), strict=True))

    def _length_metrics(self, rollouts: Rollouts) -> Metrics:
        lengths = self._gather(torch.tensor([len(c) for c in rollouts.completion_ids]))
        prompts = self._gather(torch.tensor([sum(map(len, rollouts.prompt_ids))]))
        self.state.num_input_tokens_seen += int(lengths.sum() + prompts.sum() * self.args.num_generations)
        metrics = length_metrics(lengths, self._gather(rollouts.finished))
        metrics["num_tokens"] = float(self.state.num_input_tokens_seen)
        return metrics

    # Logs and checkpoints.

    def _start_trackers(self) -> None:
        if self.accelerator.log_with:
            settings = {k: v for k, v in self.args.to_dict().items() if isinstance(v, (int, float, str, bool))}
            self.accelerator.init_trackers(self.args.run_name or "grpo", config=settings)

    def _record(self, metrics: Metrics) -> None:
        self.state.log_history.append({**metrics, "step": self.state.global_step})
        if self.accelerator.log_with:
            known = {name: value for name, value in metrics.items() if value is not None}
            self.accelerator.log(known, step=self.state.global_step)

    def save_model(self, output_dir: str | Path | None = None) -> None:
        """Save model and tokenizer in transformers format; in the output directory unless given."""
        if self.accelerator.is_main_process:
            folder = Path(output_dir or self.args.output_dir)
            self.model.save_pretrained(folder)
            self.processing_class.save_pretrained(folder)

    def _checkpoint_folder(self) -> Path:
        return Path(self.args.output_dir) / f"{checkpoint.PREFIX}{self.state.global_step}"

    def _save_checkpoint(self) -> None:
        with self._phases("save"):
            if self.accelerator.is_main_process:
                checkpoint.save(
                    self._checkpoint_folder(),
                    model=self.model,
                    tokenizer=self.processing_class,
                    training={
                        "optimizer": self.optimizer.state_dict(),
                        "scheduler": self.lr_scheduler.state_dict(),
                    },
                    state={
                        "global_step": self.state.global_step,
                        "epoch": self.state.epoch,
                        "rollouts": self._rollouts_done,
                        "num_input_tokens_seen": self.state.num_input_tokens_seen,
                        "log_history": self.state.log_history,
                    },
                )
                checkpoint.prune(Path(self.args.output_dir), self.args.save_total_limit)
            self.accelerator.wait_for_everyone()

    def _load(self, folder: Path) -> None:
        """Take up a checkpoint: weights, optimizer, schedule, counters, random states."""
        training, state = checkpoint.load(folder)
        weights = load_model(str(folder), self.args, self.model.dtype).state_dict()
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(training["optimizer"])
        self.lr_scheduler.load_state_dict(training["scheduler"])
        self._rollouts_done = state["rollouts"]
        for name in ("global_step", "epoch", "num_input_tokens_seen", "log_history"):
            setattr(self.state, name, state[name])


def _trackers(report_to: str | list[str]) -> list[str] | None:
    names = [report_to] if isinstance(report_to, str) else report_to
    return [name for name in names if name != "none"] or None
