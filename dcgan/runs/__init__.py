"""A training run and its folder: put together, shown, saved, and loaded again."""
