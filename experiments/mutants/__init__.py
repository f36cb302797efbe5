"""Backpropagation with one mistake at a time: networks, a plain NumPy backward pass, operators, and checkers to score.

`operators`, `unseen` and `unseen_structure` hold the mistakes. The code that names causes was written without looking at the
latter two, and all of them without looking at the code that names causes.
"""
