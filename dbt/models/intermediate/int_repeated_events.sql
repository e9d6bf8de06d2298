-- grain: one row per event that has the content of another one under an id of its own
{{ config(materialized='table') }}

with

-- Invoice lines have no id of their own: the same line twice is one line before it gets here.
arrived as (
    select * from {{ ref('int_arrived_events') }}
    where source <> 'online_retail'
),

-- Nearly all events are nobody's twin: found on few columns, before all of them are compared.
suspects as (
    select
        user_id,
        event_timestamp,
        event_type
    from arrived
    group by user_id, event_timestamp, event_type
    having count(*) > 1
),

numbered as (
    select
        arrived.source,
        arrived.event_id,
        row_number() over (
            partition by
                arrived.source, arrived.user_id, arrived.event_timestamp, arrived.event_type,
                item_id, session_id, request_id, surface, position, query_text, quantity,
                unit_price_cents, propensity
            order by arrived.event_id
        ) as copy_number
    from arrived
    inner join suspects
        on
            arrived.user_id = suspects.user_id
            and arrived.event_timestamp = suspects.event_timestamp
            and arrived.event_type = suspects.event_type
)

select
    source,
    event_id
from numbered
where copy_number > 1
