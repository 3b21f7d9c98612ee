"""One stack of rewards in any trainer; none of the trainers is imported before its adapter needs it."""

from rewardkit.adapters.hf_datasets import ScoreMap, score_map
from rewardkit.adapters.openrlhf import OpenRLHFReward, to_openrlhf
from rewardkit.adapters.ray_data import ScoreBatches
from rewardkit.adapters.swift import SwiftRewards, to_swift
from rewardkit.adapters.trl import TrlRewards, to_trl
from rewardkit.adapters.verifiers import TaskReward, VerifiersRewards, to_verifiers, to_verifiers_task
from rewardkit.adapters.verl import VerlScore, to_verl

__all__ = [
    "OpenRLHFReward",
    "ScoreBatches",
    "ScoreMap",
    "SwiftRewards",
    "TaskReward",
    "TrlRewards",
    "VerifiersRewards",
    "VerlScore",
    "score_map",
    "to_openrlhf",
    "to_swift",
    "to_trl",
    "to_verifiers",
    "to_verifiers_task",
    "to_verl",
]
