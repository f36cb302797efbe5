"""Backpropagation with one mistake at a time: networks, a plain NumPy backward pass, operators, and checkers to score.

`operators`, `further` and `opened` with their parts hold the mistakes that the code that names causes was made with; `unseen`
and its parts those that it was made without: their authors knew the list of causes, and nothing else of the checker.
"""
