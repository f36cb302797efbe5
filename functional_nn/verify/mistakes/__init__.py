"""The usual mistakes of backpropagation, as hypotheses with predicted gradients."""
