-- grain: one row per item and day on which a value can have changed
{% set windows = {
    'impression_count': [7],
    'click_count': [7, 30],
    'add_to_cart_count': [30],
    'purchase_count': [7, 30, 90],
    'return_count': [90],
    'price_sum': [30],
    'price_count': [30],
} %}

with

activity as (
    select * from {{ ref('int_item_activity') }}
    where event_date between {{ feature_from() }} - 90 and {{ feature_until() }}
),

buying_users as (
    select
        item_id,
        event_date,
        lead(event_date) over (partition by user_id, item_id order by event_date) as next_date
    from {{ ref('interactions') }}
    where
        event_type = 'purchase'
        and event_date between {{ feature_from() }} - 90 and {{ feature_until() }}
),

steps as (
    {{ entering_and_leaving('activity', 'item_id', windows) }}
),

user_steps as (
    {{ partners_entering_and_leaving('buying_users', 'item_id', 'user_count', [7, 30]) }}
),

sums as (
    select
        steps.item_id,
        steps.event_date,
        {{ running(windows) }},
        {{ running({'user_count': [7, 30]}) }}
    from steps
    left join user_steps
        on steps.item_id = user_steps.item_id and steps.event_date = user_steps.event_date
    window so_far as (partition by steps.item_id order by steps.event_date rows unbounded preceding)
),

first_sales as (
    select item_id, min(sold_timestamp) as sold_timestamp
    from {{ ref('int_item_activity') }}
    group by item_id
)

select
    sums.item_id,
    event_date,
    {{ last_moment('event_date') }} as event_timestamp,
    impression_count_7d,
    click_count_7d,
    click_count_30d,
    add_to_cart_count_30d,
    purchase_count_7d,
    purchase_count_30d,
    purchase_count_90d,
    user_count_7d as purchase_user_count_7d,
    user_count_30d as purchase_user_count_30d,
    return_count_90d,
    cast(price_sum_30d as double precision) / nullif(price_count_30d, 0) as price_mean_30d,
    -- The first sale of all time, once it has happened.
    case when sold_timestamp < event_date + 1 then sold_timestamp end as first_sold_timestamp
from sums
left join first_sales on sums.item_id = first_sales.item_id
where {{ in_feature_days() }}
