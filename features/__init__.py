"""How a number gets there: apply, materialize, join at a point in time, read online."""
