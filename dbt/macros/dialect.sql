{# Where DuckDB and PostgreSQL differ, and the few expressions that are easy to get wrong. #}

{# A moment with a zone → the same moment in UTC, without one. #}
{% macro utc(column) %}{{ column }} at time zone 'UTC'{% endmacro %}

{% macro matches(column, pattern) %}
    {{- return(adapter.dispatch('matches')(column, pattern)) -}}
{% endmacro %}

{% macro default__matches(column, pattern) %}regexp_matches({{ column }}, '{{ pattern }}'){% endmacro %}

{% macro postgres__matches(column, pattern) %}{{ column }} ~ '{{ pattern }}'{% endmacro %}

{# Without the spaces around it, in DuckDB's sense of a space: every Unicode separator. #}
{% macro trimmed(text) %}{{ return(adapter.dispatch('trimmed')(text)) }}{% endmacro %}

{% macro default__trimmed(text) %}trim({{ text }}){% endmacro %}

{% macro postgres__trimmed(text) %}
    {#- -#}
    btrim({{ text }}, U&' \00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\202F\205F\3000')
{%- endmacro %}

{# A float to its nearest whole number, halves up; PostgreSQL's own round takes halves to even. #}
{% macro half_up(number) %}{{ return(adapter.dispatch('half_up')(number)) }}{% endmacro %}

{% macro default__half_up(number) %}round({{ number }}){% endmacro %}

{% macro postgres__half_up(number) %}floor({{ number }} + cast(0.5 as double precision)){% endmacro %}

{# Texts of a mart are text, as its query gives them, and compare by their bytes, as DuckDB's do,
   whatever the server's language is. dbt would write a contract's varchar, with no collation. #}
{% macro postgres__get_table_columns_and_constraints() %}
    {%- set columns = [] -%}
    {%- for column in adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
        {%- set words = column.split(' ') -%}
        {%- if words[1].startswith('varchar') -%}
            {%- set kind = words[1].replace('varchar', 'text') -%}
            {%- do columns.append(' '.join([words[0], kind, 'collate "C"'] + words[2:])) -%}
        {%- else -%}
            {%- do columns.append(column) -%}
        {%- endif -%}
    {%- endfor -%}
    ({{ columns | join(', ') }})
{% endmacro %}

{# An incremental model whose types changed must not go on; text and varchar are one type to us. #}
{% macro postgres__diff_column_data_types(source_columns, target_columns) %}
    {%- set others = [] -%}
    {%- for found in default__diff_column_data_types(source_columns, target_columns) -%}
        {%- set held = target_columns | selectattr('name', 'equalto', found['column_name']) | first -%}
        {%- if not (found['new_type'] in text_types() and held.data_type in text_types()) -%}
            {%- do others.append(found) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(others) }}
{% endmacro %}

{% macro text_types() %}{{ return(['text', 'character varying']) }}{% endmacro %}

{# What a CTE holds PostgreSQL cannot know: it takes it for a few rows and loops over them for each
   row of the other side. user_history of 60 simulated days took 377 s like that, and 2 s hashed. #}
{% macro plan_for_many_rows() %}{{ return(adapter.dispatch('plan_for_many_rows')()) }}{% endmacro %}

{% macro default__plan_for_many_rows() %}{% endmacro %}

{% macro postgres__plan_for_many_rows() %}
    set local enable_nestloop = off; set local jit = off; set local work_mem = '64MB'
{% endmacro %}

{# PostgreSQL plans a query by what it knows of its tables, and learns it too late by itself. #}
{% macro learn_statistics() %}{{ return(adapter.dispatch('learn_statistics')()) }}{% endmacro %}

{% macro default__learn_statistics() %}{% endmacro %}

{% macro postgres__learn_statistics() %}
    {%- if config.get('materialized') != 'view' -%}analyze {{ this }}{%- endif -%}
{% endmacro %}

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
