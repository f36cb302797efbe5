"""Debug the backward pass of a known network: look, expect, locate, explain, accept."""
