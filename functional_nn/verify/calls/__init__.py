"""Other people's code as it comes, and plain arrays in the library's own layout for the rest of the checks.

| module | what it knows |
|---|---|
| `arrays` | leaves: NumPy and JAX arrays, torch tensors, lists of numbers, scalars with a gradient |
| `calling` | calling a function: NumPy first, with copies; whether JAX can see through it |
| `names` | which name of a gradient belongs to which name of a parameter |
| `forms` | the ways to hold weights, biases and examples, as tables |
| `layout` | which of those ways a tree of parameters takes, and how a gradient goes with it |
| `pairs` | which leaf of a gradient belongs to which parameter |
| `objects` | objects that hold parameters and gradients |
| `functions` | steps that change parameters, as gradients; what of all this is handed to a check |
| `given` | all of this together: a user's backpropagation of a network, on our arrays |
"""
