-- grain: one row per user and day on which a value can have changed
{% set windows = {
    'click_count': [7, 30],
    'add_to_cart_count': [30],
    'purchase_count': [7, 30, 90],
    'purchase_day_count': [90],
    'return_count': [90],
    'spend_cents': [90],
    'price_sum': [90],
    'price_count': [90],
} %}

with

activity as (
    select * from {{ ref('int_user_activity') }}
    where event_date between {{ feature_from() }} - 90 and {{ feature_until() }}
),

bought_items as (
    select
        user_id,
        event_date,
        lead(event_date) over (partition by user_id, item_id order by event_date) as next_date
    from {{ ref('interactions') }}
    where
        event_type = 'purchase'
        and event_date between {{ feature_from() }} - 90 and {{ feature_until() }}
),

steps as (
    {{ entering_and_leaving('activity', 'user_id', windows) }}
),

item_steps as (
    {{ partners_entering_and_leaving('bought_items', 'user_id', 'item_count', [90]) }}
),

earlier as (
    select user_id, max(interacted_timestamp) as interacted_timestamp
    from {{ ref('int_user_activity') }}
    where event_date < {{ feature_from() }} - 90
    group by user_id
),

sums as (
    select
        steps.user_id,
        steps.event_date,
        {{ running(windows) }},
        {{ running({'item_count': [90]}) }},
        max(activity.interacted_timestamp) over so_far as interacted_timestamp
    from steps
    left join item_steps
        on steps.user_id = item_steps.user_id and steps.event_date = item_steps.event_date
    left join activity
        on steps.user_id = activity.user_id and steps.event_date = activity.event_date
    window so_far as (partition by steps.user_id order by steps.event_date rows unbounded preceding)
)

select
    sums.user_id,
    event_date,
    {{ last_moment('event_date') }} as event_timestamp,
    click_count_7d,
    click_count_30d,
    add_to_cart_count_30d,
    purchase_count_7d,
    purchase_count_30d,
    purchase_count_90d,
    item_count_90d as purchase_item_count_90d,
    purchase_day_count_90d,
    return_count_90d,
    spend_cents_90d,
    cast(price_sum_90d as double precision) / nullif(price_count_90d, 0) as price_mean_90d,
    coalesce(sums.interacted_timestamp, earlier.interacted_timestamp) as last_interaction_timestamp
from sums
left join earlier on sums.user_id = earlier.user_id
where {{ in_feature_days() }}
