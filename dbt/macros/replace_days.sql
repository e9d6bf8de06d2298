{# Incremental strategy: the planned days are deleted and inserted again, in one transaction.

   dbt's own delete+insert deletes only the days that the new rows name, so a day that became
   empty would keep its old rows. #}

{% macro get_incremental_replace_days_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }}
    where {{ in_feature_days() if config.get('meta', {}).get('replaces') == 'feature_days' else in_build_days() }};

    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }}
{% endmacro %}
