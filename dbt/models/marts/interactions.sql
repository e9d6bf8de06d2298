-- grain: one row per user, item, event type and day
with

events as (
    select * from {{ ref('events') }}
    where {{ in_build_days() }} and event_type in ({{ interaction_types() }})
),

numbered as (
    select
        *,
        row_number() over (
            partition by user_id, item_id, event_type, event_date
            order by event_timestamp, event_id
        ) as event_number,
        sum(quantity) over (
            partition by user_id, item_id, event_type, event_date
        ) as day_quantity
    from events
),

first_of_day as (
    select
        user_id,
        item_id,
        event_date,
        event_timestamp,
        event_type,
        {{ interaction_weight() }} as weight,
        cast(day_quantity as integer) as quantity,
        unit_price_cents
    from numbered
    where event_number = 1
)

select * from first_of_day
