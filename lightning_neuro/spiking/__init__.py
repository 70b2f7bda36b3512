"""What Lightning users of snnTorch need every day: reset, discovery, the time loop, metrics, surrogate gradients."""
