{# Feature rows are sparse: an entity has a row on each day on which a value can have changed. That
   is the day of its event and the days on which the event leaves a window of 7, 30 or 90 days.

   A window's value is a running sum of what enters and leaves: exact in whole numbers, and twice
   as fast as a range frame (measured on a million rows). #}

{# One row per entity and such day: what the running sum of each measure and window must add.
   `windows`: measure → the lengths of its windows in days. #}
{% macro entering_and_leaving(days, entity, windows) %}
    select
        {{ entity }},
        event_date + days_later as event_date,
        {% for measure, lengths in windows.items() -%}
        {%- set last = loop.last -%}
        {% for n in lengths -%}
        cast(sum({{ measure }} * case days_later when 0 then 1 when {{ n }} then -1 else 0 end) as bigint)
            as {{ measure }}_{{ n }}d{{ ',' if not (last and loop.last) }}
        {% endfor %}
        {%- endfor -%}
    from {{ days }}
    cross join (values (0), (7), (30), (90)) as offsets (days_later)
    where event_date + days_later <= {{ feature_until() }}
    group by {{ entity }}, event_date + days_later
{%- endmacro %}

{# The same for how many different partners (items of a user, users of an item) a purchase joined:
   a partner enters on the day of a purchase, and leaves when the window ends or when it comes
   again, whatever is first. So each counts once without a distinct count over a window, which
   PostgreSQL and Spark do not have. `pairs`: entity, event_date, next_date of the same pair. #}
{% macro partners_entering_and_leaving(pairs, entity, measure, lengths) %}
    select
        {{ entity }},
        event_date,
        {% for n in lengths -%}
        cast(sum(step_{{ n }}) as bigint) as {{ measure }}_{{ n }}d{{ ',' if not loop.last }}
        {% endfor -%}
    from (
        select {{ entity }}, event_date{% for n in lengths %}, 1 as step_{{ n }}{% endfor %}
        from {{ pairs }}
        {%- for length in lengths %}
        union all
        select
            {{ entity }},
            least(coalesce(next_date, event_date + {{ length }}), event_date + {{ length }})
            {%- for n in lengths %}, {{ -1 if n == length else 0 }}{% endfor %}
        from {{ pairs }}
        {%- endfor %}
    ) as steps
    group by {{ entity }}, event_date
{%- endmacro %}

{# The values on the row's own day; needs a window named so_far. The range's first rows start from
   nothing, which is right: what happened before no longer stands in any window. #}
{% macro running(windows) %}
    {%- for measure, lengths in windows.items() -%}
    {%- set last = loop.last -%}
    {%- for n in lengths -%}
    cast(coalesce(sum({{ measure }}_{{ n }}d) over so_far, 0) as bigint) as {{ measure }}_{{ n }}d
        {{- ',' if not (last and loop.last) }}
        {% endfor -%}
    {%- endfor -%}
{% endmacro %}
