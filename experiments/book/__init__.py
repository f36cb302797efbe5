"""The figures of Nielsen's "Neural Networks and Deep Learning", and how they are replayed."""
