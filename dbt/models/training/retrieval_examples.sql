-- grain: one row per user, item and day with an interaction
with

examples as (
    select
        user_id,
        item_id,
        event_date,
        min(event_timestamp) as event_timestamp,
        max(weight) as weight,
        max(case event_type when 'purchase' then 1 else 0 end) = 1 as is_purchase
    from {{ ref('interactions') }}
    where {{ in_build_days() }}
    group by user_id, item_id, event_date
)

select * from examples
