-- grain: one row per item and day with an event that the item's features count
with

events as (
    select
        *,
        case event_type when 'purchase' then unit_price_cents end as purchase_price_cents
    from {{ ref('events') }}
    where
        {{ in_build_days() }}
        and event_type in ('impression', {{ interaction_types() }}, 'return')
),

days as (
    select
        item_id,
        event_date,
        count(*) filter (where event_type = 'impression') as impression_count,
        count(*) filter (where event_type = 'click') as click_count,
        count(*) filter (where event_type = 'add_to_cart') as add_to_cart_count,
        count(*) filter (where event_type = 'purchase') as purchase_count,
        count(*) filter (where event_type = 'return') as return_count,
        cast(coalesce(sum(purchase_price_cents), 0) as bigint) as price_sum,
        count(purchase_price_cents) as price_count,
        min(event_timestamp) filter (where event_type = 'purchase') as sold_timestamp
    from events
    group by item_id, event_date
)

select * from days
