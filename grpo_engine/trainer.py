"""The trainer: prompts, rollouts, rewards, advantages, update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import set_seed
from torch import Tensor
from transformers import TrainerState

from grpo_engine import checkpoint
from grpo_engine.advantages import SCALES, advantages, total_rewards
from grpo_engine.collect import Collected, Collector
from grpo_engine.config import GRPOConfig
from grpo_engine.data import GroupSampler, PromptData, check_dataset
from grpo_engine.display import Display
from grpo_engine.evaluation import evaluation_metrics, totals
from grpo_engine.forecast import forecast
from grpo_engine.interrupt import FinishStepOnInterrupt
from grpo_engine.learner import Learner
from grpo_engine.loading import environment
from grpo_engine.metrics import Phases, RunLog
from grpo_engine.plan import Plan
from grpo_engine.policy import Policy
from grpo_engine.processes import Processes
from grpo_engine.report import write_report
from grpo_engine.reward_model import with_reward_models
from grpo_engine.rollouts import Rollouts
from grpo_engine.scoring import RewardSet
from grpo_engine.seeds import derived_seed
from grpo_engine.summary import Metrics, completion_rows, length_metrics, reward_metrics, sample, warnings_of
from grpo_engine.support import check_positions, check_window, sliding_window
from grpo_engine.update import Update

_KEPT = ("global_step", "epoch", "num_input_tokens_seen", "log_history")  # of the state, in a checkpoint
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
        for dataset in filter(lambda d: d is not None, (train_dataset, eval_dataset)):
            check_dataset(dataset)  # before a model is loaded
        self.args = args or GRPOConfig()
        if eval_dataset is None and (self.args.eval_on_start or self.args.eval_strategy != "no"):
            raise ValueError("eval_strategy and eval_on_start need an eval_dataset")
        self.accelerator = Accelerator(
            cpu=self.args.use_cpu, log_with=_trackers(self.args.report_to), project_dir=self.args.output_dir
        )
        self._processes = Processes(self.accelerator)
        self._prompts_per_step = self.args.prompts_per_step(self._processes.count)
        set_seed(self.args.seed)
        self.rewards = RewardSet(
            with_reward_models(reward_funcs, reward_processing_classes, self.accelerator.device),
            self.args.reward_weights,
        )
        self._policy = Policy(model, processing_class, self.args, self._processes)
        self.model, self.processing_class = self._policy.model, self._policy.tokenizer
        self._train = self._prompts(train_dataset)
        self._eval = None if eval_dataset is None else self._prompts(eval_dataset)
        self._total_steps = self.args.total_steps(len(self._train), self._processes.count)
        self.lr_scheduler = self._policy.schedule(self._total_steps)
        self._collector = Collector(
            self._policy.sampler,
            self.processing_class,
            rewards=self.rewards,
            max_length=self.args.max_completion_length,
            processes=self._processes,
        )
        self._sampler = GroupSampler(
            len(self._train), self._prompts_per_step, seed=self.args.seed, shuffle=self.args.shuffle_dataset
        )
        self._notes = self._check_lengths()
        self._learner = Learner(self._policy, self.args, self._processes)
        self._plan: Plan | None = None
        self._chosen: tuple[int, int] | None = None  # slots and token budget of the run that is resumed
        self.state = TrainerState()
        self._rollouts_done = 0
        self._window: list[Metrics] = []  # metrics of steps that have no entry in the log yet
        self._evaluated_at = -1
        self._display: Display | None = None
        self._log: RunLog | None = None
        self._phases = Phases(self._announce)

    def _check_lengths(self) -> list[str]:
        """Refuse prompts and completions that the model can not hold; returns what to tell the user."""
        windowed = self._policy.packed and sliding_window(self.model) is not None
        notes = []
        for data in (self._train, self._eval):
            if data is not None:  # every prompt is read only where a window may cut it
                lengths = data.lengths(most=len(data)) if windowed else data.lengths()
                longest = max(lengths) + self.args.max_completion_length
                if windowed:
                    check_window(self.model, longest)
                notes.append(check_positions(self.model, longest))
        return [note for note in notes if note]

    def _prompts(self, dataset: Any) -> PromptData:
        return PromptData(
            dataset,
            self.processing_class,
            chat_template_kwargs=self.args.chat_template_kwargs,
            max_prompt_length=self.args.max_prompt_length,
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
        begun = self.state.global_step or None  # by a checkpoint, or by an earlier call of train()
        self._log = log = RunLog(folder, writes=main, resume_step=begun, window=self._window)
        if main:
            self.args.save(folder, environment(self.accelerator.device, self.accelerator.num_processes))
        self._start_trackers()
        title = self.args.run_name or self.model.config.name_or_path or type(self.model).__name__
        visible = main and not self.args.disable_tqdm
        with Display(total_steps=self._total_steps, title=title, enabled=visible) as display:
            self._display = display
            self._phases.finish()
            try:
                with FinishStepOnInterrupt(display.message) as interrupt:
                    self._run(interrupt, log, display)
            finally:
                self._display = None
                if main and self.state.log_history:
                    write_report(folder)
        if self.accelerator.log_with:
            self.accelerator.end_training()
        return self.state

    def plan(self) -> Plan:
        """What a step takes in memory and time, and the slots and token budget chosen for it.

        Estimated once, before the first rollout. It prints as a table; `line()` is the line at the start of a
        run; `fits` says whether there is memory enough, `remedy` which settings to change if not.
        """
        if self._plan is None:
            self._plan = forecast(self._policy, self.args, prompt_lengths=self._train.lengths(), chosen=self._chosen)
            self._policy.use_slots(self._plan.slots, self._say)
        return self._plan

    def _say(self, text: str) -> None:
        if self._display is not None:
            self._display.message(text)

    def _announce(self, phase: str) -> None:
        if self._display is not None:
            self._display.phase(phase)

    def _run(self, interrupt: FinishStepOnInterrupt, log: RunLog, display: Display) -> None:
        args, state = self.args, self.state
        if self._train.left_out:
            display.message(
                f"{self._train.left_out} prompts have more than {args.max_prompt_length} tokens and were left out"
            )
        for text in (*self._notes, self.plan().line()):
            display.message(text)
        self._phases.finish()  # planning is no part of the first step
        if args.eval_on_start and state.global_step == 0:
            self.evaluate()
        while state.global_step < self._total_steps:
            before = state.global_step
            self._step(log, display)
            stop = self._processes.any(interrupt.asked)
            done = state.global_step >= self._total_steps
            due = before // args.save_steps != state.global_step // args.save_steps
            if stop or (args.save_strategy == "steps" and (due or done)):
                self._save_checkpoint()
            if done and args.eval_strategy == "steps" and state.global_step != self._evaluated_at:
                self.evaluate()
            if stop and not done:
                raise TrainingInterrupted(
                    f"stopped after step {state.global_step} of {self._total_steps} and saved "
                    f"{self._checkpoint_folder()}; train(resume_from_checkpoint=True) goes on from there"
                )

    def _step(self, log: RunLog, display: Display) -> None:
        """One batch of rollouts, and the optimizer steps on it."""
        indices = self._sampler.indices(self._rollouts_done)
        group = self.args.num_generations
        with self._phases("rollout"):
            seed = derived_seed(self.args.seed, "rollout", self._rollouts_done)
            rollouts = self._collector.rollouts(self._train, indices, group=group, seed=seed)
        with self._phases("reward"):
            collected = self._collector.score(self._train, indices, rollouts, self.state)
            components = self._processes.gather(collected.scores.values.T).T.reshape(len(self.rewards.names), -1, group)
            rewards = total_rewards(components, self.rewards.weights.to(components.dtype))
            advantage = advantages(rewards, SCALES[str(self.args.scale_rewards)])
        metrics = {
            **reward_metrics(self.rewards.names, components, rewards),
            **self._length_metrics(rollouts),
            **self._processes.mean(collected.scores.metrics),
        }
        with self._phases("train"):
            update = self._learner.update(rollouts, advantage, token_budget=self.plan().token_budget)
        self._rollouts_done += 1
        for _ in range(min(self.args.num_iterations, self._total_steps - self.state.global_step)):
            with self._phases("train"):
                step_metrics = self._optimizer_step(update)
            metrics_now = self._after_update({**metrics, **step_metrics}, rewards)
            log.add(metrics_now)
            for warning in warnings_of(metrics_now):
                display.message(f"step {self.state.global_step}: {warning}")
            self._show(log, display, metrics_now, collected, rewards, advantage)
            if self.args.eval_strategy == "steps" and self.state.global_step % (self.args.eval_steps or 1) == 0:
                self.evaluate()

    def _optimizer_step(self, update: Update) -> Metrics:
        try:
            return update.epoch(self._policy.optimizer, self.args.max_grad_norm)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(
                f"out of memory in the update: lower token_budget (now {self.plan().token_budget}), or try "
                "gradient_checkpointing=True, rollout_slots, optim_moments='bfloat16' or offload_optimizer=True "
                f"[{self.plan().line()}]"
            ) from error

    def _after_update(self, metrics: Metrics, rewards: Tensor) -> Metrics:
        """Count the step; its metrics with learning rate, epoch and times."""
        state = self.state
        metrics["learning_rate"] = self.lr_scheduler.get_last_lr()[0]
        self.lr_scheduler.step()
        state.global_step += 1
        state.epoch = self._rollouts_done * self._prompts_per_step / len(self._train)
        metrics |= {"epoch": state.epoch, **self._phases.finish()}
        # A batch that serves several steps is sampled once: each step counts its part.
        tokens = (metrics["completions/mean_length"] or 0.0) * rewards.numel() / self.args.num_iterations
        metrics["tokens_per_second"] = tokens / (metrics["step_time"] or 1.0)
        return metrics

    def _show(
        self,
        log: RunLog,
        display: Display,
        metrics: Metrics,
        collected: Collected,
        rewards: Tensor,
        advantage: Tensor,
    ) -> None:
        """Put the step on the display and, when due, into the log."""
        args, step = self.args, self.state.global_step
        rows = completion_rows(
            collected,
            self.rewards.names,
            rewards=self._processes.share_rows(rewards).tolist(),
            advantages=self._processes.share_rows(advantage).tolist(),
            step=step,
            split="train",
        )
        display.update(step, metrics, sample(rows, step))
        if step % args.logging_steps == 0 or step == self._total_steps:
            self._record(log.flush(step))
            log.completions(rows if args.log_completions else rows[:_SAMPLED_ROWS])

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
        self.plan()
        args = self.args
        group = args.num_generations_eval or args.num_generations
        self._phases.finish()
        collected = self._collector.over(
            self._eval,
            prompts_at_once=max(1, self._policy.sequences_at_once(args.per_device_eval_batch_size) // group)
            * self._processes.count,
            group=group,
            seed=derived_seed(args.seed, "evaluation"),
            state=self.state,
            announce=self._announce,
        )
        metrics = evaluation_metrics(collected, self.rewards, self._processes)
        metrics["eval_runtime"] = self._phases.finish()["step_time"]
        if self._log is not None:
            self._log.write(self.state.global_step, metrics)
            self._log.completions(self._evaluation_rows(collected))
        if self._display is not None:
            self._display.update(self.state.global_step, metrics, None)
        self._record(metrics)
        self._evaluated_at = self.state.global_step
        return metrics

    def _evaluation_rows(self, collected: list[Collected]) -> list[dict[str, Any]]:
        rows = [
            row
            for part in collected
            for row in completion_rows(
                part,
                self.rewards.names,
                rewards=totals(part, self.rewards).tolist(),
                step=self.state.global_step,
                split="eval",
            )
        ]
        return rows if self.args.log_completions else rows[:_SAMPLED_ROWS]

    def _length_metrics(self, rollouts: Rollouts) -> Metrics:
        lengths = self._processes.gather(torch.tensor([len(c) for c in rollouts.completion_ids]))
        prompts = self._processes.gather(torch.tensor([sum(map(len, rollouts.prompt_ids))]))
        self.state.num_input_tokens_seen += int(lengths.sum() + prompts.sum() * self.args.num_generations)
        metrics = length_metrics(lengths, self._processes.gather(rollouts.finished))
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
            self._policy.save(Path(output_dir or self.args.output_dir))

    def _checkpoint_folder(self) -> Path:
        return Path(self.args.output_dir) / f"{checkpoint.PREFIX}{self.state.global_step}"

    def _save_checkpoint(self) -> None:
        with self._phases("save"):
            if self.accelerator.is_main_process:
                checkpoint.save(
                    self._checkpoint_folder(),
                    policy=self._policy,
                    training={
                        "optimizer": self._policy.optimizer.state_dict(),
                        "scheduler": self.lr_scheduler.state_dict(),
                    },
                    state={
                        "rollouts": self._rollouts_done,
                        "window": self._window,
                        "plan": [self.plan().slots, self.plan().token_budget],
                        **{name: getattr(self.state, name) for name in _KEPT},
                    },
                )
                checkpoint.prune(Path(self.args.output_dir), self.args.save_total_limit)
            self.accelerator.wait_for_everyone()
        self._phases.finish()  # saving is no part of the next step

    def _load(self, folder: Path) -> None:
        """Take up a checkpoint: weights, optimizer, schedule, counters, random states."""
        training, state = checkpoint.load(folder)
        self._policy.load(folder)
        self._policy.optimizer.load_state_dict(training["optimizer"])
        self.lr_scheduler.load_state_dict(training["scheduler"])
        self._rollouts_done, self._window = state["rollouts"], state["window"]
        slots, token_budget = state["plan"]  # other passes would round differently
        self._chosen, self._plan = (slots, token_budget), None
        for name in _KEPT:
            setattr(self.state, name, state[name])


def _trackers(report_to: str | list[str]) -> list[str] | None:
    """The trackers asked for, refused unless accelerate can use them."""
    names = [report_to] if isinstance(report_to, str) else report_to
    wanted = [name for name in names if name != "none"]
    available = [str(tracker) for tracker in get_available_trackers()]
    for name in wanted:
        if name not in available:
            raise ValueError(
                f"report_to names {name!r}, which is not installed here; install it, or choose from "
                f"{', '.join(['none', *available])}"
            )
    return wanted or None
