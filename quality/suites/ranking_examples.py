"""What the rankers learn from: user × item × day, bought 2, clicked 1, shown and left alone 0.

* Volume 0.1 … 10 of the usual.
* Labels are dbt's to test. A shop with impressions has 0, 1 and 2, one without only purchases.
* Propensities are probabilities, and an importance weight of more than 10,000 is no estimate.
* Drift: the mean label against the usual, ±0.5 (of 2): labels lost or leaked.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "label_mean": "avg(label)",
    "propensity_min": "min(propensity)",
    "propensity_max": "max(propensity)",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.1, 10, why="a lost or doubled day"),
    between("label_mean_change", -0.5, 0.5, why="labels were lost, or leaked"),
    between("propensity_min", 0.0001, None, why="weights of more than 10,000 are no estimate"),
    between("propensity_max", 0, 1, why="a probability"),
]
