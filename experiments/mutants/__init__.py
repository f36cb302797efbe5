"""Backpropagation with one mistake at a time: networks, a plain NumPy backward pass, operators, and checkers to score.

`operators` and the parts of `further` hold the mistakes that the code that names causes was made with. `unseen` and its
parts hold those that it was made without: their author knew the list of causes, and nothing else of the checker.
"""
