{# Which plan this run was about, and whether it built every model of it: written into the warehouse
   before and after, read before anything is published (warehouse/standing.py).

   The plan is read again at the end: when another run planned meanwhile, the models of this one
   were built for two plans, and the note says that neither is done. #}

{% macro note_start() %}
    {% if not execute %}{{ return('') }}{% endif %}
    {% set plan = read_plan() %}
    drop table if exists {{ target.schema }}.build_note;
    create table {{ target.schema }}.build_note as
    select '{{ plan.plan_id if plan else '' }}' as plan_id, false as is_done
{% endmacro %}

{% macro note_end(results) %}
    {% if not execute %}{{ return('') }}{% endif %}
    {% set plan = read_plan() %}
    {% set bad = results | selectattr('status', 'in', ['error', 'fail', 'skipped']) | list %}
    {% set ran = results | map(attribute='node') | selectattr('resource_type', 'equalto', 'model') | list %}
    {% set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | list %}
    {% set is_whole = not bad and (ran | length) == (models | length) %}
    update {{ target.schema }}.build_note
    set is_done = {{ 'true' if is_whole else 'false' }}
    where plan_id = '{{ plan.plan_id if plan else '' }}'
{% endmacro %}
