import pytest
import torch

from lightning_neuro.st_rsbp.post_derivative import ByResponse, BySelf, ByTable, NoDerivative, as_table
from lightning_neuro.st_rsbp.response import Response

WEIGHT = torch.tensor([[1.0, -0.5, 2.0], [0.25, 1.5, 0.0]], dtype=torch.float64)
PRE = torch.tensor([[0.0, 3.0, 9.0]], dtype=torch.float64)
POST = torch.tensor([[0.0, 12.0]], dtype=torch.float64)
TABLE = torch.rand(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def drive(counts):
    return counts @ WEIGHT.T


@pytest.mark.parametrize("recurrent", [False, True])
def test_table_equals_the_quartics_pair_by_pair_with_their_clamps(recurrent):
    found = ByTable(as_table("test", TABLE))([(drive, PRE)], POST, 10.0, recurrent)
    for i, own in enumerate(POST[0].tolist()):
        if own == 0 and not recurrent:
            assert found[0, i] == 0
            continue
        o, expected = (min(max(own, 1), 4) if recurrent else own), 0.0
        for j, count in enumerate(PRE[0].tolist()):
            p = TABLE[min(max(int(count), 1), 4) - 1].tolist()
            expected += WEIGHT[i, j].item() * (4 * p[0] * o**3 + 3 * p[1] * o**2 + 2 * p[2] * o + p[3])
        assert found[0, i].item() == pytest.approx(expected)


def test_a_table_made_of_the_response_gives_the_response():
    f, counts = Response(100, 16.0, 0), torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    around = torch.linspace(1, 4, 40, dtype=torch.float64)
    powers = around[:, None] ** torch.arange(4, -1, -1)
    quartic = torch.linalg.lstsq(powers, f.value(around)[:, None]).solution[:, 0]
    table = as_table("test", torch.arange(1, 10)[:, None] * quartic)
    pre = PRE.clamp_min(1)
    found = ByTable(table)([(drive, pre)], counts, 10.0, False)
    torch.testing.assert_close(found, ByResponse(f)([(drive, pre)], counts, 10.0, False), rtol=0.01, atol=0)


def test_self_and_response_agree_where_the_potential_is_threshold_times_count():
    f, counts = Response(100, 16.0, 2), torch.tensor([[7.0]], dtype=torch.float64)
    total = 10.0 * counts / f.value(counts)
    by_response = ByResponse(f)([(lambda n: n, total)], counts, 10.0, False)
    torch.testing.assert_close(BySelf(f)([], counts, 10.0, False), by_response)


def test_several_sets_of_synapses_add_up_and_none_is_zero():
    f = ByResponse(Response(100, 16.0, 2))
    one = f([(drive, PRE)], POST, 10.0, True)
    torch.testing.assert_close(f([(drive, PRE), (drive, PRE)], POST, 10.0, True), 2 * one)
    assert not NoDerivative()([(drive, PRE)], POST, 10.0, True).any()


def test_a_table_is_read_from_a_file_or_refused(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("\n".join(" ".join(map(str, row)) for row in TABLE.tolist()) + "\n")
    assert as_table("test", path) == as_table("test", TABLE) == as_table("test", str(path))
    path.write_text("1 2 3\n")
    with pytest.raises(ValueError, match=r"test: table must be K x 5 .* got 1 rows of \[3\] numbers"):
        as_table("test", path)
    path.write_text("a b c d e\n")
    with pytest.raises(ValueError, match="could not convert"):
        as_table("test", path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"test: table must be K x 5 .*which cannot be read \(it is no text\)"):
        as_table("test", path)
    with pytest.raises(ValueError, match=r"test: table must be K x 5 .*cannot be read \(No such file"):
        as_table("test", tmp_path / "absent.txt")
    with pytest.raises(TypeError, match="got float"):
        as_table("test", 1.0)
    with pytest.raises(ValueError, match="not finite"):
        as_table("test", [[float("nan")] * 5])
