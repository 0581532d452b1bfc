"""Generators that ship, float16, with cards and samples; ``shell/zoo.py`` finds them, ``make_zoo.py`` makes them."""
