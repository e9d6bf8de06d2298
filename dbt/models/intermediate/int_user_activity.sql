-- grain: one row per user and day with an event that the user's features count
with

events as (
    select
        *,
        case event_type when 'purchase' then quantity * unit_price_cents end as spend_cents,
        case event_type when 'purchase' then unit_price_cents end as purchase_price_cents
    from {{ ref('events') }}
    where {{ in_build_days() }} and event_type in ({{ interaction_types() }}, 'return')
),

days as (
    select
        user_id,
        event_date,
        count(*) filter (where event_type = 'click') as click_count,
        count(*) filter (where event_type = 'add_to_cart') as add_to_cart_count,
        count(*) filter (where event_type = 'purchase') as purchase_count,
        max(case event_type when 'purchase' then 1 else 0 end) as purchase_day_count,
        count(*) filter (where event_type = 'return') as return_count,
        cast(coalesce(sum(spend_cents), 0) as bigint) as spend_cents,
        cast(coalesce(sum(purchase_price_cents), 0) as bigint) as price_sum,
        count(purchase_price_cents) as price_count,
        max(event_timestamp) filter (where event_type <> 'return') as interacted_timestamp
    from events
    group by user_id, event_date
)

select * from days
