{# Where DuckDB and PostgreSQL differ, and the few expressions that are easy to get wrong. #}

{# A moment with a zone → the same moment in UTC, without one. #}
{% macro utc(column) %}{{ column }} at time zone 'UTC'{% endmacro %}

{% macro matches(column, pattern) %}
    {{- return(adapter.dispatch('matches')(column, pattern)) -}}
{% endmacro %}

{% macro default__matches(column, pattern) %}regexp_matches({{ column }}, '{{ pattern }}'){% endmacro %}

{% macro postgres__matches(column, pattern) %}{{ column }} ~ '{{ pattern }}'{% endmacro %}

{# Decimal first: 0.285 * 100 is 28.499999999999996 as a float, and would lose its cent. Both
   dialects round a decimal half away from zero. #}
{% macro cents(amount) %}
    cast(round(cast({{ amount }} as decimal(18, 6)) * 100, 0) as bigint)
{%- endmacro %}

{# The lower median: one of the values themselves. #}
{% macro median_of(column) %}
    percentile_disc(0.5) within group (order by {{ column }})
{%- endmacro %}

{# The last microsecond of a UTC day: strictly before any moment of the next one. #}
{% macro last_moment(day) %}
    cast({{ day }} + 1 as timestamp) - interval '1 microsecond'
{%- endmacro %}

{# The frame of the n whole days that end with the row's own day. #}
{% macro last_days(n) %}
    {#- #}range between interval '{{ n - 1 }} days' preceding and current row
{%- endmacro %}
