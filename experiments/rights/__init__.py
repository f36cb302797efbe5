"""Right gradients of random networks: what is drawn, and the ways it is written."""
