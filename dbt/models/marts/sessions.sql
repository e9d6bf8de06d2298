-- grain: one row per session of a user: no gap over 30 minutes, never past midnight
with

events as (
    select
        *,
        event_timestamp - lag(event_timestamp) over (
            partition by user_id, event_date
            order by event_timestamp, event_id
        ) as gap
    from {{ ref('events') }}
    where {{ in_build_days() }}
),

numbered as (
    select
        *,
        sum(
            case
                when gap > interval '{{ constant('session_gap_minutes') }} minutes' then 1 else 0
            end
        ) over (
            partition by user_id, event_date
            order by event_timestamp, event_id
        ) as session_number
    from events
),

sessions as (
    select
        md5(
            user_id || '/' || cast(event_date as varchar) || '/' || cast(session_number as varchar)
        ) as session_id,
        user_id,
        event_date,
        min(event_timestamp) as started_timestamp,
        max(event_timestamp) as ended_timestamp,
        count(*) as event_count,
        count(*) filter (where event_type = 'click') as click_count,
        count(*) filter (where event_type = 'purchase') as purchase_count
    from numbered
    group by user_id, event_date, session_number
)

select * from sessions
