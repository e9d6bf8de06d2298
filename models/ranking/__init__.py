"""From hundreds to an order: a feature network, a transformer over the history, their features."""
