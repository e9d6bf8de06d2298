-- grain: one row per item and day on which any item changed: the whole snapshot of that day
{{ config(meta={'replaces': 'feature_days'}) }}

with

versions as (
    select * from {{ ref('int_item_versions') }}
),

days as (
    select event_date
    from versions
    where {{ in_feature_days() }}
    group by event_date
),

snapshots as (
    select
        versions.item_id,
        versions.title,
        versions.description,
        versions.category,
        versions.brand,
        versions.price_cents,
        versions.image_url,
        versions.available_from_date,
        versions.available_until_date,
        days.event_date
    from days
    inner join versions
        on
            days.event_date >= versions.event_date
            and (days.event_date < versions.next_event_date or versions.next_event_date is null)
)

select * from snapshots
