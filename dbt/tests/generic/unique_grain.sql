{# Fails with every combination of the columns that stands in more than one row, and with every one
   that has a null in it. Rows of days that are not built now were judged when they were built: a
   combination can only have come twice by a row of a day that is. So the test of a day costs no
   more in a long history. #}
{% test unique_grain(model, columns) %}
    {%- set keys = columns | join(', ') -%}
    {%- set is_null = columns | join(' is null or ') ~ ' is null' -%}
    select
        {{ keys }},
        count(*) as row_count
    from {{ model }}
    where
        {% if 'event_date' in columns -%}
            {{ in_feature_days() }}
        {%- else -%}
            ({{ keys }}) in (select {{ keys }} from {{ model }} where {{ in_feature_days() }})
            or {{ is_null }}
        {%- endif %}
    group by {{ keys }}
    having count(*) > 1 or {{ is_null }}
{% endtest %}
