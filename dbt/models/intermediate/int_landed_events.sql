-- grain: one row per landed row of the planned days, of every source
{{ config(materialized='table') }}

with

{% set columns %}
    event_id, event_type, event_timestamp, user_id, item_id, session_id, request_id, surface,
    position, query_text, quantity, unit_price_cents, propensity, source, event_date
{% endset %}

landed as (
    select
        arrived.*,
        repeated.event_id is not null as is_repeated
    from {{ ref('int_arrived_events') }} as arrived
    left join {{ ref('int_repeated_events') }} as repeated
        on arrived.source = repeated.source and arrived.event_id = repeated.event_id
),

minutes as (
    select
        user_id,
        event_date,
        date_trunc('minute', event_timestamp) as minute,
        count(*) as action_count
    from landed
    where event_type in ('click', 'view', 'search') and not is_repeated
    group by user_id, event_date, minute
),

bots as (
    select
        user_id,
        event_date
    from minutes
    group by user_id, event_date
    having
        max(action_count) > {{ constant('bot_actions_per_minute') }}
        or sum(action_count) > {{ constant('bot_actions_per_day') }}
),

known_items as (
    select
        item_id as known_item_id,
        first_stated_date
    from {{ ref('int_known_items') }}
),

judged as (
    select
        {{ columns }},
        case
            when landed.reason is not null then landed.reason
            when exists (
                select 1
                from bots
                where bots.user_id = landed.user_id and bots.event_date = landed.event_date
            ) then 'bot'
            when is_repeated then 'repeated'
            -- A shop that never stated its items (online_retail) has no unknown ones.
            when
                item_id is not null
                and event_date >= (select min(stated.first_stated_date) from known_items as stated)
                and known_item_id is null then 'unknown_item'
        end as reason
    from landed
    left join known_items
        on
            landed.item_id = known_items.known_item_id
            and landed.event_date >= known_items.first_stated_date
)

select * from judged
