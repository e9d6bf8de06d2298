-- grain: one row per user and day on which the user interacted
with

present as (
    select distinct user_id from {{ ref('interactions') }}
    where {{ in_feature_days() }}
),

interactions as (
    select
        user_id,
        item_id,
        event_date,
        min(event_timestamp) as event_timestamp,
        max(case event_type when 'purchase' then 1 else 0 end) as is_bought
    from {{ ref('interactions') }}
    where
        event_date <= {{ feature_until() }}
        and user_id in (select user_id from present)
    group by user_id, item_id, event_date
),

days as (
    select
        user_id,
        event_date,
        sum(count(*)) over (partition by user_id order by event_date) as interaction_count
    from interactions
    group by user_id, event_date
),

wanted_days as (
    select * from days
    where {{ in_feature_days() }}
),

numbered as (
    select
        user_id,
        item_id,
        row_number() over (
            partition by user_id order by event_date, event_timestamp, item_id
        ) as interaction_number
    from interactions
),

histories as (
    select
        days.user_id,
        days.event_date,
        array_agg(item_id order by interaction_number) as history_item_ids
    from wanted_days as days
    inner join numbered
        on
            days.user_id = numbered.user_id
            and numbered.interaction_number <= days.interaction_count
            and numbered.interaction_number
            > days.interaction_count - {{ constant('history_length') }}
    group by days.user_id, days.event_date
),

bought as (
    {{ bought_so_far('wanted_days', 'interactions') }}
)

select
    histories.user_id,
    histories.event_date,
    {{ last_moment('histories.event_date') }} as event_timestamp,
    history_item_ids,
    coalesce(bought_item_ids, cast(array[] as varchar[])) as bought_item_ids,
    coalesce(bought_item_weights, cast(array[] as real[])) as bought_item_weights
from histories
left join bought
    on histories.user_id = bought.user_id and histories.event_date = bought.event_date
