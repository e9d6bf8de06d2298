-- grain: one row per user and day on which any user changed: the whole snapshot of that day
{{ config(meta={'replaces': 'feature_days'}) }}

with

versions as (
    select * from {{ ref('int_user_versions') }}
),

days as (
    select event_date
    from versions
    where {{ in_feature_days() }}
    group by event_date
),

snapshots as (
    select
        versions.user_id,
        versions.segment,
        versions.country,
        versions.signup_date,
        days.event_date
    from days
    inner join versions
        on
            days.event_date >= versions.event_date
            and (days.event_date < versions.next_event_date or versions.next_event_date is null)
)

select * from snapshots
