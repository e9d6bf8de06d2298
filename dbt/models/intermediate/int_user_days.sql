-- grain: one row per user and day on which a source stated or an event showed the user
with

events as (
    select
        user_id,
        event_date
    from {{ ref('events') }}
    where {{ in_build_days() }}
    group by user_id, event_date
),

stated as (
    select user_id, event_date, segment, country, signup_date
    from {{ ref('stg_simulated__users') }}
    union all
    select user_id, event_date, segment, country, signup_date
    from {{ ref('stg_files__users') }}
    union all
    select user_id, event_date, max(country), max(country), cast(null as date)
    from {{ ref('int_online_retail__events') }}
    where reason is null
    group by user_id, event_date
),

joined as (
    select
        coalesce(stated.user_id, events.user_id) as user_id,
        coalesce(stated.event_date, events.event_date) as event_date,
        stated.segment,
        stated.country,
        stated.signup_date,
        stated.user_id is not null as is_stated
    from stated
    full join events
        on
            stated.user_id = events.user_id
            and stated.event_date = events.event_date
)

select * from joined
