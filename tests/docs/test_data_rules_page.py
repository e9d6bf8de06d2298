from docs.data_rules_page import PAGE, data_rules_page
from quality.mutations.registry import MUTATIONS
from stack.mutate.rules import dbt_tests, named_rules, quarantine_rules


def test_the_page_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == data_rules_page()


def test_every_rule_and_every_listed_fault_is_on_it():
    page = data_rules_page()
    for rule in (*quarantine_rules(), *named_rules(), *dbt_tests()):
        assert f"`{rule.name}`" in page
    for one in MUTATIONS.values():
        assert f"`{one.name}`" in page or not one.is_listed


def test_a_rule_whose_fault_is_gone_has_no_fault_on_the_page():
    rows = [line for line in data_rules_page().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []
