"""Who judges what: read from the code, so that the page of the rules cannot rot."""

from quality.mutations.registry import MUTATIONS, needing
from stack.mutate.rules import (
    dbt_tests,
    expectations,
    named_rules,
    quarantine_rules,
    takeable,
)

# What speaks without being a rule of its own.
ALWAYS = {"duplicate", "nothing", "BadInputError", "reconciliation"}


def test_each_rule_has_a_fault_that_it_alone_is_about():
    rules = [*quarantine_rules(), *named_rules(), *dbt_tests(), *expectations()]
    assert [rule.name for rule in rules if not needing(rule.name)] == []
    assert len({rule.name for rule in rules}) == len(rules)


def test_each_fault_is_noticed_by_a_rule_that_exists():
    rules = [*quarantine_rules(), *named_rules(), *dbt_tests(), *expectations()]
    known = {rule.name for rule in rules} | ALWAYS
    assert {one.name: one.by for one in MUTATIONS.values() if one.by not in known} == {}


def test_every_rule_says_what_it_asks():
    assert len(takeable()) > 120
    for rule in (*quarantine_rules(), *named_rules(), *dbt_tests(), *expectations()):
        assert rule.asks, rule.name
    assert all(rule.why for rule in expectations())


def test_the_reasons_of_dbt_are_the_ones_its_test_allows():
    (test,) = [one for one in dbt_tests() if one.name == "rejected_events_reasons_are_known"]
    for rule in named_rules():
        assert rule.name in test.asks
