{# For sqlfluff alone, which has no warehouse and no plan: what these macros write, in short. #}

{% macro in_build_days(column='event_date') %}{{ column }} in (date '2026-01-01'){% endmacro %}

{% macro in_feature_days(column='event_date') %}{{ column }} = date '2026-01-01'{% endmacro %}

{% macro feature_from() %}date '2026-01-01'{% endmacro %}

{% macro feature_until() %}date '2026-01-31'{% endmacro %}

{% macro constant(name) %}1{% endmacro %}

{% macro quoted(names) %}'a', 'b'{% endmacro %}

{% macro interaction_types() %}'click', 'purchase'{% endmacro %}

{% macro interaction_weight(column='event_type') %}case {{ column }} when 'click' then 1 end{% endmacro %}

{% macro matches(column, pattern) %}regexp_matches({{ column }}, '{{ pattern }}'){% endmacro %}

{% macro landed(source, table) %}(select * from {{ source }}_{{ table }}){% endmacro %}

{% macro landed_events(source) %}select event_id from {{ source }}_events{% endmacro %}

{% macro trimmed(text) %}trim({{ text }}){% endmacro %}

{% macro half_up(number) %}round({{ number }}){% endmacro %}
