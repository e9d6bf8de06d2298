-- grain: one row per user, item and day on which it was shown or bought
with

events as (
    select * from {{ ref('events') }}
    where {{ in_build_days() }} and event_type in ('impression', {{ interaction_types() }})
),

numbered as (
    select
        *,
        row_number() over (
            partition by user_id, item_id, event_date
            order by case event_type when 'impression' then 0 else 1 end, event_timestamp, event_id
        ) as event_number
    from events
),

pairs as (
    select
        user_id,
        item_id,
        event_date,
        -- The first impression; of what was never shown that day, the first interaction.
        max(case event_number when 1 then event_timestamp end) as event_timestamp,
        max(
            case event_type
                when 'purchase' then 2
                when 'impression' then 0
                else 1
            end
        ) as label,
        max(case event_type when 'impression' then 1 else 0 end) = 1 as is_impressed,
        max(case event_number when 1 then propensity end) as propensity
    from numbered
    group by user_id, item_id, event_date
)

select *
from pairs
where is_impressed or label = 2
