-- grain: one row per item and day on which what is known about the item changed
{{ config(materialized='table') }}

with

{% set facts = [
    'title', 'description', 'category', 'brand', 'price_cents', 'image_url', 'available_from_date',
    'available_until_date',
] %}

known as (
    select item_id, event_date, {{ facts | join(', ') }}
    from {{ ref('int_item_days') }}
    union all
    select
        item_id,
        event_date,
        title,
        cast(null as varchar) as description,
        cast(null as varchar) as category,
        cast(null as varchar) as brand,
        price_cents,
        cast(null as varchar) as image_url,
        available_from_date,
        cast(null as date) as available_until_date
    from {{ ref('int_online_retail__items') }}
),

compared as (
    select
        *,
        (
            lag(item_id) over by_day is null
            {% for fact in facts %}
            or lag({{ fact }}) over by_day is distinct from {{ fact }}
            {% endfor %}
        ) as has_changed
    from known
    window by_day as (partition by item_id order by event_date)
),

changes as (
    select
        item_id,
        event_date,
        {{ facts | join(', ') }},
        lead(event_date) over (partition by item_id order by event_date) as next_event_date
    from compared
    where has_changed
)

select * from changes
