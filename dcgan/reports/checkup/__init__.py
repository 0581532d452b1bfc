"""The check-up of images: each file looks for one kind of trouble in what ``seen.py`` saw of them."""
