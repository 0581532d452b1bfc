"""The configuration: its keys, its checks, and the folders named by it. Imports no torch: mistakes answer at once."""
