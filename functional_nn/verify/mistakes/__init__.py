"""The mistakes people make, each as what it would have given."""
