"""The algorithm: the GAN, what each network minimises and how it is stepped. ``gan.py`` is the place to start."""
