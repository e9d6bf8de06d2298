{# Numbers and names that Python owns (warehouse/run.py hands them over), so that each exists once.
   A dbt var of the same name outranks it. #}

{% macro constant(name) %}
    {{ return(var(name, fromjson(env_var('VITRINE_DBT_CONSTANTS'))[name])) }}
{% endmacro %}

{# The shop whose rows are read; the storefront's own are always read. #}
{% macro active_sources() %}
    {{ return([constant('source'), 'storefront']) }}
{% endmacro %}

{# 'a', 'b', 'c' #}
{% macro quoted(names) %}
    {%- for name in names -%}'{{ name }}'{{ ', ' if not loop.last }}{%- endfor -%}
{% endmacro %}

{% macro interaction_types() %}{{ quoted(constant('interaction_weights').keys()) }}{% endmacro %}

{% macro interaction_weight(column='event_type') %}
    case {{ column }}
    {%- for name, weight in constant('interaction_weights').items() %}
        when '{{ name }}' then cast({{ weight }} as double precision)
    {%- endfor %}
    end
{%- endmacro %}
