"""Networks to be found again, and data from them."""

import numpy as np

from lightning_neuro.spectral_rnn.model import QUADRATIC, PolynomialModel


def random_net(seed=0, inputs=6, units=2, outputs=3, coeffs=QUADRATIC, coupling=0.12, offset=True):
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((units, inputs), (units, units), (units, outputs)))
    a, u = (each / np.linalg.norm(each, axis=1)[:, None] for each in (a, u))
    return PolynomialModel(a, coupling * u, c, coeffs, offset=rng.standard_normal(outputs) * offset)


def random_series(count, steps, inputs=6, seed=0, memory=0.0):
    """Return `(count, steps, inputs)`, stationary Gaussian, each step keeping `memory` of the one before."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, steps, inputs))
    for step in range(1, steps):
        x[:, step] = memory * x[:, step - 1] + np.sqrt(1 - memory**2) * x[:, step]
    return x


def answers(net, x, noise=0.0, seed=0):
    """Return outputs `(count, steps, Dy)` of a net to `(count, steps, Dx)`."""
    y = np.stack(net.predict_all(list(x)))
    return y + noise * np.random.default_rng(seed).standard_normal(y.shape)
