{# Which days this build replaces: asked here and nowhere else.

   Three ways to say it, the first that is given counts:
   1. vars `days` (a list), `feature_from`, `feature_until`: unit tests, and a person by hand;
   2. var `event_date` (what a Dag knows): the plan that `vitrine build --plan` wrote, if it is
      about that day, else that day alone;
   3. nothing: the plan. #}

{% macro build_plan() %}
    {% if var('days', none) is not none %}
        {% set days = var('days') %}
        {{ return({
            'days': days,
            'feature_from': var('feature_from', days | min),
            'feature_until': var('feature_until', days | max),
        }) }}
    {% endif %}
    {% set wanted = var('event_date', none) %}
    {% if not execute %}
        {{ return({'days': [], 'feature_from': '1970-01-01', 'feature_until': '1970-01-01'}) }}
    {% endif %}
    {% set plan = read_plan() %}
    {% if wanted is not none and (plan is none or (wanted | string) not in plan.days) %}
        {% set wanted = wanted | string %}
        {{ return({'days': [wanted], 'feature_from': wanted, 'feature_until': wanted}) }}
    {% endif %}
    {% if plan is none %}
        {{ exceptions.raise_compiler_error('no build plan: run vitrine build, or set event_date') }}
    {% endif %}
    {{ return(plan) }}
{% endmacro %}

{% macro read_plan() %}{{ return(adapter.dispatch('read_plan')()) }}{% endmacro %}

{% macro default__read_plan() %}
    {% set file = env_var('VITRINE_DBT_CACHE') ~ '/build_plan.json' %}
    {% if run_query("select count(*) from glob('" ~ file ~ "')").rows[0][0] == 0 %}
        {{ return(none) }}
    {% endif %}
    {% set columns = "{days: 'varchar[]', feature_from: 'varchar', feature_until: 'varchar', plan_id: 'varchar'}" %}
    {{ return(plan_of_row(run_query(
        "select array_to_string(days, ','), feature_from, feature_until, plan_id from read_json('"
        ~ file ~ "', columns = " ~ columns ~ ")"
    ).rows[0])) }}
{% endmacro %}

{% macro postgres__read_plan() %}
    {% if run_query("select to_regclass('vitrine_landed.build_plan')").rows[0][0] is none %}
        {{ return(none) }}
    {% endif %}
    {{ return(plan_of_row(run_query(
        'select days, feature_from, feature_until, plan_id from vitrine_landed.build_plan'
    ).rows[0])) }}
{% endmacro %}

{% macro plan_of_row(row) %}
    {{ return({
        'days': (row[0] | string).split(',') if row[0] else [],
        'feature_from': row[1] | string,
        'feature_until': row[2] | string,
        'plan_id': row[3] | string,
    }) }}
{% endmacro %}

{# True for the days whose events are replaced. #}
{% macro in_build_days(column='event_date') %}
    {%- set days = build_plan().days -%}
    {%- if days -%}
        {{ column }} in (
            {%- for day in days -%}
                date '{{ day }}'{{ ', ' if not loop.last }}
            {%- endfor -%}
        )
    {%- else -%}
        false
    {%- endif -%}
{% endmacro %}

{# True for the days whose feature rows are replaced: from the first replaced day to the newest. #}
{% macro in_feature_days(column='event_date') %}
    {%- set plan = build_plan() -%}
    {{ column }} between date '{{ plan.feature_from }}' and date '{{ plan.feature_until }}'
{%- endmacro %}

{% macro feature_from() %}date '{{ build_plan().feature_from }}'{% endmacro %}

{% macro feature_until() %}date '{{ build_plan().feature_until }}'{% endmacro %}
