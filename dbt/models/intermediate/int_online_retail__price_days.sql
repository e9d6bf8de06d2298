-- grain: one row per item and day on which it was sold
with

sold as (
    select
        item_id,
        event_date,
        {{ median_of('unit_price_cents') }} as price_cents
    from {{ ref('int_online_retail__events') }}
    where reason is null and event_type = 'purchase'
    group by item_id, event_date
)

select * from sold
