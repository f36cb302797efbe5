"""One file a question: what is asked, the command, the expected result and its cost stand in its docstring."""
