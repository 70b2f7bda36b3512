"""Evaluators: what turns a population of weights into fitness."""

from lightning_neuro.safe_mutation.evaluation import Evaluation, evaluate
from lightning_neuro.safe_mutation.gymnasium_evaluator import GymnasiumEvaluator
from lightning_neuro.safe_mutation.supervised import SupervisedEvaluator

__all__ = ["Evaluation", "GymnasiumEvaluator", "SupervisedEvaluator", "evaluate"]
