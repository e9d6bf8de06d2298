-- grain: one row per item, title and day on which the item was sold under it
with

sold as (
    select
        item_id,
        coalesce(item_title, item_id) as title,
        event_date
    from {{ ref('int_online_retail__events') }}
    where reason is null and event_type = 'purchase'
),

counted as (
    select
        item_id,
        title,
        event_date,
        count(*) as line_count
    from sold
    group by item_id, title, event_date
)

select * from counted
