"""The keys of a configuration and what may be said: options, rules, combinations, and what data sets there are.

Imports no torch: mistakes answer at once.
"""
