"""What Airflow shows of a dbt build: a task for each model, without a process of its own."""
