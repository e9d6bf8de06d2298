-- grain: one row per landed row that a named rule refused
with

rejected as (
    select
        event_date,
        source,
        event_id as source_id,
        reason
    from {{ ref('int_landed_events') }}
    where reason is not null and {{ in_build_days() }}
)

select * from rejected
