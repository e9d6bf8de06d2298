{# Per user and day: every item bought up to and including the day, last bought first, item_id
   breaking ties, with its decayed weight.

   Between two purchases of an item its weight only decays, so it is summed once per purchase. The
   sum is of whole billionths: a float sum depends on the order of its terms, and a full rebuild
   would then differ from a build day by day in the last bit. #}
{% macro bought_so_far(days, interactions) %}
    {#- Doubles from the start: PostgreSQL takes a plain 0.5 for a decimal, DuckDB does not. -#}
    {%- set half_life = 'cast(' ~ constant('bought_half_life_days') ~ ' as double precision)' -%}
    {%- set half = 'cast(0.5 as double precision)' -%}
    {%- set billion = 'cast(1000000000 as double precision)' -%}
    with

    purchases as (
        select
            user_id,
            item_id,
            event_date,
            lead(event_date) over (partition by user_id, item_id order by event_date) as next_date
        from {{ interactions }}
        where is_bought = 1 and user_id in (select user_id from {{ days }})
    ),

    weighed as (
        select
            latest.user_id,
            latest.item_id,
            latest.event_date,
            latest.next_date,
            cast(sum(cast({{ half_up(
                billion ~ ' * power(' ~ half ~ ', (latest.event_date - purchases.event_date) / '
                ~ half_life ~ ')'
            ) }} as bigint)) as double precision) / {{ billion }} as weight
        from purchases as latest
        inner join purchases
            on latest.user_id = purchases.user_id
            and latest.item_id = purchases.item_id
            and latest.event_date >= purchases.event_date
        group by latest.user_id, latest.item_id, latest.event_date, latest.next_date
    ),

    held as (
        select
            days.user_id,
            days.event_date,
            weighed.item_id,
            weighed.event_date as bought_date,
            cast(
                weight
                * power({{ half }}, (days.event_date - weighed.event_date) / {{ half_life }})
                as real
            ) as weight
        from {{ days }} as days
        inner join weighed
            on days.user_id = weighed.user_id
            and days.event_date >= weighed.event_date
            and (days.event_date < weighed.next_date or weighed.next_date is null)
    )

    {% set length = constant('bought_length') -%}
    select
        user_id,
        event_date,
        (array_agg(item_id order by bought_date desc, item_id))[1:{{ length }}] as bought_item_ids,
        (array_agg(weight order by bought_date desc, item_id))[1:{{ length }}]
            as bought_item_weights
    from held
    group by user_id, event_date
{%- endmacro %}
