"""What a user should hear of, because it goes wrong without an error; and from where on."""

PARALLEL = 0.98
"""Cosine of two rows of A2 above which their neurons mix."""
OUTLIER_SHARE = 0.5
"""Share of a column's variance that a single step must not carry."""
LARGEST_Z = 6.0
"""Largest |z| of an identity of the score that passes."""
BROKEN = {
    "first": "the mean is off",
    "second": "the covariance is off",
    "present": "the score does not belong to these inputs",
    "past": "the inputs remember more than the score knows",
    "fourth": "the inputs are not distributed as the score says",
}
"""What it means if one of the identities of a score is broken."""
MEMORY_ADVICE = {
    "IIDGaussianScore": "; try GaussianAR1Score",
    "MixtureScore": "; try GaussianAR1Score",
    "GaussianAR1Score": ", which knows one step; thin the series out, or give a score model of longer memory",
}
"""What to try where the inputs remember, by the type of the score."""
SHAPE_ADVICE = {"IIDGaussianScore": "; try MixtureScore", "GaussianAR1Score": "; try MixtureScore"}
"""What to try where the distribution is another, by the type of the score."""


class SpectralWarning(UserWarning):
    """Something in the data or the model makes a spectral estimate doubtful."""


class ParallelOutputsWarning(SpectralWarning):
    """Two neurons have nearly parallel output weights, so their input weights mix."""


class WeakComponentWarning(SpectralWarning):
    """A component hardly stands out of the noise; the recurrent weights are refused, and set to 0."""


class VanishingMomentWarning(SpectralWarning):
    """The moment that should carry the input weights is not distinguishable from noise."""


class DroppedSequencesWarning(SpectralWarning):
    """Sequences were left out, because they are not finite."""


class OutlierWarning(SpectralWarning):
    """A single number carries most of the variance of its column."""


class UnstableRecurrenceWarning(SpectralWarning):
    """The recurrent weights had to be shrunk for the model to be stable."""


class RefinementWarning(SpectralWarning):
    """Refinement stopped before it settled; the best iterate is returned."""


class PoorFitWarning(SpectralWarning):
    """On its own data the network predicts no better than the outputs' mean."""


class MemorylessNeuronWarning(SpectralWarning):
    """A neuron of a bidirectional network has no recurrent weight either way, so its direction is arbitrary."""
