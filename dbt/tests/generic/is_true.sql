{# Fails with every row for which the condition is false; null passes. #}
{% test is_true(model, condition) %}
    select *
    from {{ model }}
    where not ({{ condition }})
{% endtest %}
