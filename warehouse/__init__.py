"""How dbt is run: build the days, reconcile the rows, publish the marts."""
