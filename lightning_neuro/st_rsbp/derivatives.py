"""Which post-derivative a layer uses, made once for each kind of neuron and number of steps."""

from lightning_neuro.st_rsbp.post_derivative import ByResponse, BySelf, ByTable, NoDerivative, PostDerivative
from lightning_neuro.st_rsbp.response import Response, simulated
from lightning_neuro.st_rsbp.rule import GradientRule
from lightning_neuro.st_rsbp.simulate import Neuron

ANALYTIC_FROM = 5.0


class Derivatives:
    """Keeps fitted responses, which take a moment to simulate.

    >>> from lightning_neuro.st_rsbp.rule import GradientRule
    >>> Derivatives().of(GradientRule(), Neuron(tau_m=64.0), steps=400).response.correction
    (1.0,)
    """

    def __init__(self) -> None:
        self._simulated: dict[tuple[int, float, float, int, int], Response] = {}

    def of(self, rule: GradientRule, neuron: Neuron, steps: int) -> PostDerivative:
        """Return the post-derivative that a rule asks for."""
        if rule.post_derivative == "none":
            return NoDerivative()
        if rule.post_derivative == "table":
            return ByTable(rule.table)
        response = self._response(rule, neuron, steps)
        return BySelf(response) if rule.post_derivative == "self" else ByResponse(response)

    def _response(self, rule: GradientRule, neuron: Neuron, steps: int) -> Response:
        long_enough = steps >= ANALYTIC_FROM * neuron.tau_m
        if rule.post_derivative == "analytic" or (rule.post_derivative in ("auto", "self") and long_enough):
            return Response(steps, neuron.tau_m, neuron.refractory)
        key = steps, neuron.tau_m, neuron.tau_s, neuron.refractory, rule.seed
        if key not in self._simulated:
            self._simulated[key] = simulated(*key)
        return self._simulated[key]
