"""How far generated images are from real ones. ``measure`` is all of it in one pass; each other module is one idea."""
