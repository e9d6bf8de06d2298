-- grain: one row per item and day on which it was sold
{{ config(materialized='view') }}

with

prices as (
    select * from {{ ref('int_online_retail__price_days') }}
),

titles as (
    select
        item_id,
        title,
        event_date,
        sum(line_count) over (
            partition by item_id, title order by event_date
        ) as line_count_so_far,
        lead(event_date) over (partition by item_id, title order by event_date) as next_event_date
    from {{ ref('int_online_retail__title_days') }}
),

ranked as (
    select
        prices.item_id,
        prices.event_date,
        titles.title,
        prices.price_cents,
        min(prices.event_date) over (partition by prices.item_id) as available_from_date,
        row_number() over (
            partition by prices.item_id, prices.event_date
            order by titles.line_count_so_far desc, titles.title
        ) as title_rank
    from prices
    inner join titles
        on
            prices.item_id = titles.item_id
            and prices.event_date >= titles.event_date
            and (prices.event_date < titles.next_event_date or titles.next_event_date is null)
)

select * from ranked
where title_rank = 1
