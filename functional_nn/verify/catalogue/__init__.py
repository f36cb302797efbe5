"""The mistakes that people make, as data: one record each."""
