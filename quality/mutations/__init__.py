"""Corruptions of a good day, one fault each, and which rule must notice it.

``vitrine check --mutate`` plants them into a copy of a shop and runs the ordinary path on it
(``stack.mutate``). Nothing here reads or writes anything: rows in, rows out.
"""
