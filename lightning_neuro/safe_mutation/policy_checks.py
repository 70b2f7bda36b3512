"""Policies whose individuals would not be independent of one another are refused."""

from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
TRACKING_NORMS = (*BATCH_NORMS, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def refuse_dependent_individuals(policy: nn.Module) -> None:
    """Raise where a layer would mix the states of a batch, or draw at random, in the mode it is in.

    Raises:
        ValueError: such a layer is there; the message names it and says what to do.

    >>> refuse_dependent_individuals(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    Traceback (most recent call last):
    ValueError: BatchedPolicy: layer 1 (BatchNorm1d) is in training mode and would mix the states of a batch. Call \
policy.eval() first.
    """
    for name, layer in policy.named_modules():
        trouble = _trouble(layer)
        if trouble:
            raise ValueError(f"BatchedPolicy: layer {name or 'policy'} ({type(layer).__name__}) {trouble}")


def _trouble(layer: nn.Module) -> str | None:
    if isinstance(layer, BATCH_NORMS) and layer.running_mean is None:
        return "has no running statistics and would mix the states of a batch. Use track_running_stats=True."
    if not layer.training:
        return None
    if isinstance(layer, TRACKING_NORMS) and layer.track_running_stats:
        return "is in training mode and would mix the states of a batch. Call policy.eval() first."
    if _drops(layer):
        return "is in training mode and would drop units at random. Call policy.eval() first."
    return None


def _drops(layer: nn.Module) -> bool:
    return (
        (isinstance(layer, DROPOUTS) and layer.p > 0)
        or (isinstance(layer, nn.RNNBase | nn.MultiheadAttention) and layer.dropout > 0)
        or isinstance(layer, nn.RReLU)
    )
