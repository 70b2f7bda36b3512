"""What a population does at once, beside loops over its individuals, and beside bare matrix products."""

from collections.abc import Callable, Sequence

import torch
from safe_mutation_work import Work
from torch import Tensor, nn

from lightning_neuro.safe_mutation.founders import Founding
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.sensitivity import sm_g_abs, sm_g_so, sm_g_sum
from lightning_neuro.safe_mutation.tasks import DeepPolicy, ParityPolicy, RecurrentParity

LOOPED_PARENTS = 5
BEFORE_REPLAY = 102
Shape = tuple[int, int, int]


def founders(policy: nn.Module, population: int) -> Tensor:
    """Return fresh initialisations of a policy, `(P, d)`."""
    return Founding().population(policy, population, seed=0)


def conv_net(channels: int, filters: int) -> nn.Module:
    """Return two convolutions and a linear layer, for images of 16 by 16 pixels."""
    convolutions = nn.Conv2d(channels, filters, 3, stride=2), nn.Conv2d(filters, 8, 3, stride=2)
    return nn.Sequential(convolutions[0], nn.Tanh(), convolutions[1], nn.Tanh(), nn.Flatten(), nn.Linear(72, 4))


def products(population: int, shapes: Sequence[Shape]) -> Callable[[], object]:
    """Return matrix products `(rows, inner) @ (inner, columns)`, each of a whole population at once."""
    generator = torch.Generator().manual_seed(0)

    def operand(*shape: int) -> Tensor:
        return torch.randn(population, *shape, generator=generator)

    operands = [(operand(rows, inner), operand(inner, columns)) for rows, inner, columns in shapes]
    return lambda: [torch.bmm(left, right) for left, right in operands]


def deep(layers: int, width: int) -> list[Shape]:
    """Return the products of `DeepPolicy(4, 2)` for one observation."""
    return [(1, 4, width), *[(1, width, width)] * layers, (1, width, 2)]


def convolutional(channels: int, filters: int) -> list[Shape]:
    """Return the products of `conv_net` for one image, its patches laid out."""
    return [(filters, 9 * channels, 49), (8, 9 * filters, 9), (1, 72, 4)]


def recurrent(gates: int, hidden: int, steps: int, states: int) -> list[Shape]:
    """Return the products of a `ParityPolicy` of two layers."""
    rows = gates * hidden
    return [(rows, 1 + hidden, states), (rows, 2 * hidden, states)] * steps + [(2, hidden, states)]


def forwards(
    policy: nn.Module, inputs: Tensor, floor: Sequence[Shape], population: int, target: float
) -> dict[str, Work]:
    """Outputs of all individuals: a loop over as many modules, the same by `BatchedPolicy`, and its products."""
    params = founders(policy, population)
    batched, plain = BatchedPolicy(policy, vectorize=True), BatchedPolicy(policy, vectorize=True, replay=False)
    modules = [batched.individual(vector) for vector in params]
    own = inputs.expand(population, *inputs.shape).contiguous()
    for _ in range(BEFORE_REPLAY):  # a run of many generations is past it
        batched(params, inputs), batched(params, own)

    @torch.no_grad()
    def loop() -> list[Tensor]:
        return [module(inputs) for module in modules]

    return {
        "loop over modules": Work(loop),
        "BatchedPolicy": Work(lambda: batched(params, inputs), target=target),
        "BatchedPolicy, inputs of each its own": Work(lambda: batched(params, own), target=target),
        "BatchedPolicy, never replayed": Work(lambda: plain(params, inputs)),
        "its matrix products alone": Work(products(population, floor)),
    }


def populations(population: int) -> dict[str, dict[str, Work]]:
    """Return the ways to run a population, for several nets."""
    generator = torch.Generator().manual_seed(0)
    small, large = (1, 4), (3, 8)

    def image(channels: int) -> Tensor:
        return torch.rand(1, channels, 16, 16, generator=generator)

    deep_net, lstm, bits = DeepPolicy(4, 2, layers=16), ParityPolicy("lstm"), RecurrentParity().sequences
    one = torch.rand(1, 4, generator=generator)
    return {
        "MLP, 16 hidden layers of 15, tanh, one observation": forwards(
            deep_net, one, deep(16, 15), population, target=15
        ),
        "Convolutional net, one image 1 x 16 x 16, 4 and 8 filters": forwards(
            conv_net(*small), image(1), convolutional(*small), population, target=12
        ),
        "Convolutional net, one image 3 x 16 x 16, 8 and 8 filters": forwards(
            conv_net(*large), image(3), convolutional(*large), population, target=12
        ),
        "LSTM, two layers of 15, 16 sequences of 4 steps": forwards(
            lstm, bits, recurrent(4, 15, 4, 16), population, target=6
        ),
    }


def jacobians(module: nn.Module, sequences: Tensor) -> Tensor:
    """Return the derivatives `(B, K, d)` of a recurrent module's outputs: state by state, output by output."""
    weights = list(module.parameters())
    states = []
    for state in range(sequences.shape[1]):
        outputs = module(sequences[:, state : state + 1])[0]
        gradients = [torch.autograd.grad(output, weights, retain_graph=True) for output in outputs]
        states.append(torch.stack([torch.cat([part.flatten() for part in parts]) for parts in gradients]))
    return torch.stack(states)


def magnitudes(module: nn.Module, sequences: Tensor) -> Tensor:
    """Return SM-G-ABS of one parent, `(d,)`."""
    return jacobians(module, sequences).abs().mean(0).norm(dim=0)


def sums(module: nn.Module, sequences: Tensor) -> Tensor:
    """Return SM-G-SUM of one parent by the same loop, `(d,)`."""
    return jacobians(module, sequences).mean(0).norm(dim=0)


def sums_of_batch(module: nn.Module, sequences: Tensor) -> Tensor:
    """Return SM-G-SUM of one parent with one backward pass per output, for all states together, `(d,)`."""
    weights = list(module.parameters())
    outputs = module(sequences).mean(0)
    gradients = [torch.autograd.grad(output, weights, retain_graph=True) for output in outputs]
    return torch.stack([torch.cat([part.flatten() for part in parts]) for parts in gradients]).norm(dim=0)


def sensitivities(population: int) -> dict[str, dict[str, Work]]:
    """Return the ways to get sensitivities of a recurrent net with 782 weights, 16 sequences, 2 outputs."""
    policy, sequences = ParityPolicy("rnn"), RecurrentParity().sequences
    params = founders(policy, population)
    batched = BatchedPolicy(policy, vectorize=True)
    modules = [batched.individual(vector) for vector in params[:LOOPED_PARENTS]]
    rest = population / len(modules)

    def loop(of_one: Callable[[nn.Module, Tensor], Tensor]) -> Work:
        return Work(lambda: [of_one(module, sequences) for module in modules], times=rest)

    def ours(of_all: Callable[..., Tensor], target: float | None = None) -> Work:
        return Work(lambda: of_all(batched, params, sequences), target=target)

    title = "of an RNN of 782 weights, 16 sequences of 4 steps, 2 outputs"
    return {
        f"SM-G-ABS {title}": {"loop over states and outputs": loop(magnitudes), "sm_g_abs": ours(sm_g_abs, 100)},
        f"SM-G-SUM {title}": {
            "loop over states and outputs": loop(sums),
            "loop over outputs": loop(sums_of_batch),
            "sm_g_sum": ours(sm_g_sum, 100),
            "sm_g_so, for comparison": ours(sm_g_so),
        },
    }
