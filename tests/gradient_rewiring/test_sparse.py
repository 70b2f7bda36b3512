import io

import pytest
import snntorch
import torch
from torch import nn

from lightning_neuro.gradient_rewiring import densify, export_sparse, load_sparse, measure_sparse, save_sparse
from lightning_neuro.gradient_rewiring.sparse_layers import SparseConv2d, SparseLinear


def sparse_net(connectivity: float = 0.05, seed: int = 0) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 5)
    )
    for module in net:
        if isinstance(module, nn.Linear | nn.Conv2d):
            kept = torch.rand(module.weight.shape, generator=generator) < connectivity
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * kept
    return net


def saved(model: nn.Module) -> io.BytesIO:
    file = io.BytesIO()
    save_sparse(model, file)
    file.seek(0)
    return file


def test_p16_dense_and_exported_outputs_agree_and_the_model_is_untouched():
    net, images = sparse_net(), torch.randn(3, 2, 8, 8)
    exported = export_sparse(net, convolutions=True)
    assert [type(m) for m in exported if m is not None][:3] == [SparseConv2d, nn.Flatten, SparseLinear]
    assert isinstance(net[2], nn.Linear)
    torch.testing.assert_close(exported(images), net(images), rtol=1e-5, atol=1e-6)
    assert exported[2].weight.crow.dtype == exported[2].weight.col.dtype == torch.int32
    torch.testing.assert_close(densify(exported).state_dict(), net.state_dict(), rtol=0, atol=0)
    assert isinstance(export_sparse(net)[0], nn.Conv2d)


@pytest.mark.parametrize("shape", [(784,), (7, 784), (2, 3, 784)])
def test_linear_takes_any_leading_dimensions(shape):
    layer = nn.Linear(784, 30, bias=len(shape) == 2)
    layer.weight.data *= torch.rand(30, 784) < 0.1
    inputs = torch.randn(shape)
    torch.testing.assert_close(SparseLinear(layer)(inputs), layer(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 15, 16, 130])
def test_few_and_many_rows_give_the_dense_outputs_and_gradients(batch, dtype):
    layer = nn.Linear(40, 30, dtype=dtype)
    layer.weight.data *= torch.rand(30, 40) < 0.1
    layer.weight.data[3] = 0  # a neuron without connections
    ours = torch.randn(batch, 40, dtype=dtype, requires_grad=True)
    dense = ours.detach().clone().requires_grad_()
    results = SparseLinear(layer)(ours), layer(dense)
    torch.testing.assert_close(*results)
    for result in results:
        result.square().sum().backward()
    torch.testing.assert_close(ours.grad, dense.grad)


@pytest.mark.parametrize(("connectivity", "gain"), [(0.05, 9), (0.01, 40), (0.39, 1)])
def test_p16_files_shrink_with_connectivity(connectivity, gain):
    layer = nn.Linear(784, 800, bias=False)
    layer.weight.data *= torch.rand(800, 784) < connectivity
    dense = io.BytesIO()
    torch.save(layer.state_dict(), dense)
    assert len(dense.getvalue()) > gain * len(saved(layer).getvalue())


def test_files_go_from_dense_or_exported_into_dense_or_exported():
    net = sparse_net()
    for source in (net, export_sparse(net, convolutions=True)):
        file = saved(source)
        loaded = load_sparse(file, sparse_net(0.9, seed=1))
        assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), net.parameters(), strict=True))
        file.seek(0)
        exported = load_sparse(file, export_sparse(sparse_net(0.1, seed=2)))
        torch.testing.assert_close(exported(torch.ones(1, 2, 8, 8)), net(torch.ones(1, 2, 8, 8)))


def test_files_of_other_models_and_other_files_are_refused_and_change_nothing(tmp_path):
    target = nn.Linear(3, 3)
    before = target.weight.detach().clone()
    with pytest.raises(
        ValueError, match=r"load_sparse: the file belongs to another model .*'0.bias': \(4,\) for nothing"
    ):
        load_sparse(saved(sparse_net()), target)
    torch.save({"weight": torch.ones(3, 3)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"load_sparse: expected a file of save_sparse, got .*other\.pt"):
        load_sparse(tmp_path / "other.pt", target)
    assert torch.equal(target.weight, before)


def test_a_net_that_is_not_sparse_is_refused():
    with pytest.raises(ValueError, match=r"no layer has at least 85 % zeros \(found: Linear 0.0 %\)"):
        export_sparse(nn.Sequential(nn.Linear(3, 3)))
    with pytest.raises(ValueError, match="export_sparse: min_sparsity must be at least 0 and at most 1, got 2"):
        export_sparse(sparse_net(), min_sparsity=2)


class Spiking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.neuron = nn.Linear(10, 20), snntorch.RLeaky(beta=0.5, linear_features=20, init_hidden=True)

    def forward(self, inputs):
        self.neuron.reset_mem()
        return torch.stack([self.neuron(self.fc(inputs)) for _ in range(4)])


def test_a_spiking_net_exports_after_training_with_its_recurrent_synapses():
    net = Spiking()
    for layer in (net.fc, net.neuron.recurrent):
        layer.weight.data *= torch.rand(layer.weight.shape) < 0.1
    net(torch.ones(3, 10)).sum().backward()  # leaves hidden state that is part of a graph
    exported = export_sparse(net, min_sparsity=0.8)
    assert isinstance(exported.neuron.recurrent, SparseLinear)
    inputs = 3 * torch.rand(5, 10)
    assert torch.equal(exported(inputs), net(inputs))


def test_the_report_measures_what_it_says():
    net, images = sparse_net(), torch.randn(3, 2, 8, 8)
    report = measure_sparse(net, export_sparse(net), images, rounds=2)
    assert report.sparse_bytes == len(saved(net).getvalue())
    assert report.dense_bytes > 3 * report.sparse_bytes
    assert report.largest_difference < 1e-5
    assert report.dense_ms > 0
    assert f"{report.sparse_bytes:,}" in str(report)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nir_describes_the_sparse_net():
    nir = pytest.importorskip("nir")
    snntorch_nir = pytest.importorskip("snntorch.export_nir")
    neuron = snntorch.Leaky(beta=torch.full((20,), 0.5), threshold=torch.ones(20), init_hidden=True)
    net = nn.Sequential(nn.Linear(10, 20), neuron)
    net[0].weight.data *= torch.rand(20, 10) < 0.1
    graph = snntorch_nir.export_to_nir(densify(export_sparse(net)), torch.ones(10))
    [layer] = [node for node in graph.nodes.values() if isinstance(node, nir.Affine | nir.Linear)]
    assert torch.equal(torch.as_tensor(layer.weight), net[0].weight)


def half_empty(layer):
    with torch.no_grad():
        layer.weight.mul_(torch.rand_like(layer.weight) < 0.1)
    return layer


@pytest.mark.parametrize("rows", [4, 40])
def test_half_precision_by_autocast_and_throughout(rows):
    dense = half_empty(nn.Linear(30, 20))
    inputs = torch.rand(rows, 30)
    expected = dense(inputs)
    sparse = export_sparse(dense)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(sparse(inputs.bfloat16()).float(), expected, rtol=0.05, atol=0.05)
        torch.testing.assert_close(sparse(inputs), expected)
    for half in (sparse.bfloat16(), export_sparse(dense.bfloat16())):
        torch.testing.assert_close(half(inputs.bfloat16()).float(), expected, rtol=0.05, atol=0.05)


def test_one_image_without_batch():
    dense = half_empty(nn.Conv2d(2, 3, 3))
    image = torch.rand(2, 6, 6)
    sparse = export_sparse(nn.Sequential(dense), convolutions=True, min_sparsity=0.5)
    torch.testing.assert_close(sparse(image), dense(image))


def test_a_shared_layer_is_replaced_everywhere_and_a_bare_one_itself():
    layer = half_empty(nn.Linear(10, 10))
    shared = nn.Sequential(layer, nn.ReLU(), layer, nn.Sequential(layer))
    exported = export_sparse(shared, min_sparsity=0.5)
    assert exported[0] is exported[2] is exported[3][0]
    assert isinstance(exported[0], SparseLinear)
    inputs = torch.rand(3, 10)
    torch.testing.assert_close(exported(inputs), shared(inputs))
    assert isinstance(densify(exported)[3][0], nn.Linear)
    assert isinstance(export_sparse(layer, min_sparsity=0.5), SparseLinear)
    assert isinstance(densify(export_sparse(layer, min_sparsity=0.5)), nn.Linear)


class Keeping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = half_empty(nn.Linear(10, 10))

    def forward(self, inputs):
        self.kept = self.layer(inputs)
        return self.kept


def test_a_kept_activation_is_copied_without_its_graph_or_named():
    model = Keeping()
    model(torch.rand(3, 10))
    exported = export_sparse(model, min_sparsity=0.5)
    assert exported.kept.grad_fn is None
    model.others = [model.kept]
    model.kept = None
    with pytest.raises(ValueError, match="export_sparse: Keeping keeps tensors of its last forward pass"):
        export_sparse(model, min_sparsity=0.5)
