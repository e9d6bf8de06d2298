-- grain: one row per accepted event
with

accepted as (
    select
        event_id,
        event_type,
        event_timestamp,
        user_id,
        item_id,
        session_id,
        request_id,
        surface,
        position,
        query_text,
        quantity,
        unit_price_cents,
        propensity,
        source,
        event_date
    from {{ ref('int_landed_events') }}
    where reason is null and {{ in_build_days() }}
)

select * from accepted
