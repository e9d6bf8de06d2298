-- grain: one row per user and day on which what is known about the user changed
{{ config(materialized='table') }}

with

days as (
    select
        *,
        sum(case when is_stated then 1 else 0 end) over (
            partition by user_id order by event_date
        ) as statement_number,
        min(event_date) over (partition by user_id) as first_seen_date
    from {{ ref('int_user_days') }}
),

known as (
    select
        user_id,
        event_date,
        max(segment) over statement as segment,
        max(country) over statement as country,
        coalesce(max(signup_date) over statement, first_seen_date) as signup_date
    from days
    window statement as (partition by user_id, statement_number)
),

compared as (
    select
        *,
        (
            lag(user_id) over by_day is null
            or lag(segment) over by_day is distinct from segment
            or lag(country) over by_day is distinct from country
            or lag(signup_date) over by_day is distinct from signup_date
        ) as has_changed
    from known
    window by_day as (partition by user_id order by event_date)
),

changes as (
    select
        user_id,
        event_date,
        segment,
        country,
        signup_date,
        lead(event_date) over (partition by user_id order by event_date) as next_event_date
    from compared
    where has_changed
)

select * from changes
