"""Which modules are snnTorch neurons, and by which name they are known."""

from snntorch import LeakyParallel, SpikingNeuron
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from lightning_neuro.common.selection import canonical_name

# LeakyParallel is a neuron by purpose, yet a plain module by class.
NEURONS = (SpikingNeuron, LeakyParallel)
WRAPPERS = (DataParallel, DistributedDataParallel, AveragedModel)
COMPILED = "_orig_mod"


def shells(module: nn.Module) -> list[nn.Module]:
    """List the wrappers around a module, outermost first, and last the module they wrap.

    They are `torch.compile`, `DistributedDataParallel`, `DataParallel` and `AveragedModel`.

    >>> [type(each).__name__ for each in shells(DataParallel(nn.Linear(2, 1)))]
    ['DataParallel', 'Linear']
    """
    found = [module]
    while True:
        children = dict(found[-1].named_children())
        if COMPILED in children:
            found.append(children[COMPILED])
        elif isinstance(found[-1], WRAPPERS):
            found.append(children["module"])
        else:
            return found


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside all wrappers.

    >>> unwrap(DataParallel(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)
    """
    return shells(module)[-1]


def named_modules(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """List a module and all modules inside it by plain name, each once, in the order of `nn.Module.named_modules`.

    Other than that method, this one may be called in the middle of a graph that `torch.compile` captures, where
    neurons have already changed their state.

    >>> [name for name, _ in named_modules(nn.Sequential(nn.Sequential(nn.ReLU())))]
    ['', '0', '0.0']
    """
    found: dict[nn.Module, str] = {}

    def visit(each: nn.Module, name: str) -> None:
        if each not in found:
            found[each] = canonical_name(name)
            for child_name, child in each.named_children():
                visit(child, f"{name}.{child_name}" if name else child_name)

    visit(unwrap(module), "")
    return [(name, each) for each, name in found.items()]


def find_neurons(module: nn.Module) -> dict[str, nn.Module]:
    """Find every snnTorch neuron inside a module, nested ones and copies included.

    Args:
        module: any module; compiled and data-parallel ones are looked into.

    Returns:
        Neurons by plain name, in the order of `named_modules`; empty for a module without any.

    >>> import snntorch
    >>> list(find_neurons(nn.Sequential(nn.Linear(4, 2), snntorch.Leaky(beta=0.9))))
    ['1']
    """
    return {name: each for name, each in named_modules(module) if isinstance(each, NEURONS)}
