{# The landed rows of one table on the planned days; typed and empty when nothing was landed, or when
   the source is not this shop's. The types come from an empty file that warehouse/lake.py wrote. #}

{% macro landed(source, table) %}{{ return(adapter.dispatch('landed')(source, table)) }}{% endmacro %}

{% macro default__landed(source, table) %}
    {%- set day = '/' ~ source ~ '/' ~ table ~ '/event_date=*/part.parquet' -%}
    {%- set files = ["'" ~ env_var('VITRINE_DBT_CACHE') ~ '/landed' ~ day ~ "'"] -%}
    {%- if execute and source in active_sources() -%}
        {%- set landed_files = "'" ~ env_var('VITRINE_DBT_LAKE') ~ day ~ "'" -%}
        {%- if run_query('select count(*) from glob(' ~ landed_files ~ ')').rows[0][0] -%}
            {%- do files.append(landed_files) -%}
        {%- endif -%}
    {%- endif -%}
    (
        select *
        from read_parquet([{{ files | join(', ') }}], hive_partitioning = true)
        where {{ in_build_days('event_date') }}
    )
{%- endmacro %}

{# In PostgreSQL the planned days were copied before dbt runs. A day that was not would look empty,
   and its rows would be replaced by nothing. #}
{% macro postgres__landed(source, table) %}
    {%- if execute and source in active_sources() -%}
        {%- set loaded = (read_plan() or {'days': []}).days -%}
        {%- set missing = build_plan().days | map('string') | reject('in', loaded) | list -%}
        {%- if missing -%}
            {{ exceptions.raise_compiler_error(
                missing[0] ~ ' was not copied into PostgreSQL: run vitrine build --plan --day '
                ~ missing[0] ~ ' first'
            ) }}
        {%- endif -%}
    {%- endif -%}
    (
        select *
        from vitrine_landed.{{ source }}_{{ table }}
        where {{ in_build_days('event_date') }}
    )
{%- endmacro %}

{# The body of every staging model of a source that speaks our words already. #}
{% macro landed_events(source) %}
    select
        event_id,
        event_type,
        {{ utc('event_timestamp') }} as event_timestamp,
        user_id,
        item_id,
        session_id,
        request_id,
        surface,
        position,
        query_text,
        quantity,
        unit_price_cents,
        propensity,
        '{{ source }}' as source,
        cast(event_date as date) as event_date
    from {{ landed(source, 'events') }} as landed
{%- endmacro %}
