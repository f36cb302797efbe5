"""Backpropagation with one mistake at a time: networks, a plain NumPy backward pass, mistakes, and checkers to score.

`seen` holds the mistakes that the code that names causes was made with, `unseen` those that it was made without; in both,
a file is a family of mistakes, and a mistake is one record. `passes` is the mathematics of a layer, `reference` the
backward pass with named steps; `making` and `places` are what mistakes are written with; `population` makes a mistake
in every step it fits, `checkers` look at the gradients, `scoring` compares with the truth, `tables` lays it out.
"""
