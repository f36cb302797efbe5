"""Backpropagation with one mistake at a time: networks, a plain NumPy backward pass, operators, and checkers to score.

`operators` and `unseen` hold the mistakes. The code that names causes was written without looking at `unseen`, and the
operators without looking at the code that names causes.
"""
