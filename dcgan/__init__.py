"""Deep convolutional GANs on MNIST: train, compare and trust the numbers."""
