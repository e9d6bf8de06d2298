"""A shop whose truth is known."""
